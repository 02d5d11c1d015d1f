/** The one storage class that S3 calls by another name, and the parts of documents in which classes stand. */

const OWN = "ARCHIVE";
const S3 = "GLACIER";

/** The class as S3 clients know it. */
export function s3Class(name: string): string {
  return name === OWN ? S3 : name;
}

/** The class that an S3 client means. */
export function ownClass(name: string): string {
  return name.trim().toUpperCase() === S3 ? OWN : name;
}

/** A document of ours with S3's names of classes: text in it has no angle brackets, so nothing else reads like one. */
export function s3Classes(document: string): string {
  return document.replaceAll(`<StorageClass>${OWN}</StorageClass>`, `<StorageClass>${S3}</StorageClass>`);
}

/** A document of an S3 client with our names: of classes, and of the element that holds the tier of a restore. */
export function ownClasses(document: string): string {
  return document
    .replace(/(<StorageClass>)([^<]{0,32})(<\/StorageClass>)/g, (_, open, name, close) => open + ownClass(name) + close)
    .replaceAll("GlacierJobParameters>", "CASJobParameters>");
}
