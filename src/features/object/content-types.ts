/**
 * The types of files by the end of their names, for objects whose upload named none. That the service looks at the key
 * is seen in the published suite of its Node SDK (`1.zip` is stored as application/zip, `1.txt` as text/plain without
 * a charset, `1` as application/octet-stream); its table is not published, and this one has the registered types of
 * common files. A type that the service knows and this table does not, is octet-stream here.
 */

/** Type of an object whose key tells none. */
const CONTENT_TYPE_DEFAULT = "application/octet-stream";

const EXTENSIONS_OF: Readonly<Record<string, string>> = {
  "application/epub+zip": "epub",
  "application/gzip": "gz",
  "application/java-archive": "jar war",
  "application/json": "json map",
  "application/manifest+json": "webmanifest",
  "application/msword": "doc dot",
  "application/pdf": "pdf",
  "application/postscript": "ai eps ps",
  "application/rtf": "rtf",
  "application/vnd.android.package-archive": "apk",
  "application/vnd.apple.mpegurl": "m3u8",
  "application/vnd.ms-excel": "xls",
  "application/vnd.ms-fontobject": "eot",
  "application/vnd.ms-powerpoint": "ppt",
  "application/vnd.oasis.opendocument.presentation": "odp",
  "application/vnd.oasis.opendocument.spreadsheet": "ods",
  "application/vnd.oasis.opendocument.text": "odt",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
  "application/vnd.rar": "rar",
  "application/wasm": "wasm",
  "application/x-7z-compressed": "7z",
  "application/x-bzip2": "bz2",
  "application/x-sh": "sh",
  "application/x-tar": "tar",
  "application/xhtml+xml": "xhtml",
  "application/xml": "xml xsd xsl",
  "application/zip": "zip",
  "audio/aac": "aac",
  "audio/flac": "flac",
  "audio/midi": "mid midi",
  "audio/mp4": "m4a",
  "audio/mpeg": "mp3",
  "audio/ogg": "oga ogg opus",
  "audio/wav": "wav",
  "font/otf": "otf",
  "font/ttf": "ttf",
  "font/woff": "woff",
  "font/woff2": "woff2",
  "image/avif": "avif",
  "image/bmp": "bmp",
  "image/gif": "gif",
  "image/heic": "heic",
  "image/jpeg": "jpe jpeg jpg",
  "image/png": "png",
  "image/svg+xml": "svg",
  "image/tiff": "tif tiff",
  "image/vnd.adobe.photoshop": "psd",
  "image/webp": "webp",
  "image/x-icon": "ico",
  "text/calendar": "ics",
  "text/css": "css",
  "text/csv": "csv",
  "text/html": "htm html",
  "text/javascript": "js mjs",
  "text/markdown": "markdown md",
  "text/plain": "conf ini log text txt",
  "text/vtt": "vtt",
  "text/yaml": "yaml yml",
  "video/3gpp": "3gp",
  "video/mp2t": "ts",
  "video/mp4": "m4v mp4",
  "video/mpeg": "mpeg mpg",
  "video/ogg": "ogv",
  "video/quicktime": "mov",
  "video/webm": "webm",
  "video/x-flv": "flv",
  "video/x-matroska": "mkv",
  "video/x-ms-wmv": "wmv",
  "video/x-msvideo": "avi",
};

const TYPES: ReadonlyMap<string, string> = new Map(
  Object.entries(EXTENSIONS_OF).flatMap(([type, extensions]) =>
    extensions.split(" ").map((extension) => [extension, type] as const),
  ),
);

/** The type to store for an object of this key whose upload named none. */
export function contentTypeOf(key: string): string {
  const name = key.slice(key.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return (dot === -1 ? undefined : TYPES.get(name.slice(dot + 1).toLowerCase())) ?? CONTENT_TYPE_DEFAULT;
}
