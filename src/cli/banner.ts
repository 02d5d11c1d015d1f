/** What a started server tells the person in front of it: where it is, its keys, and settings to paste. */

import { formatListen, reachableHost } from "../config/listen-address.ts";
import { DEVELOPMENT_SECRET_KEY, type Settings } from "../config/settings.ts";

export interface BannerFacts {
  readonly settings: Settings;
  /** Where the server listens now; the port is the real one also where 0 was asked for. */
  readonly host: string;
  readonly port: number;
  readonly version: string;
  /** Where the admin listener is, if there is one. */
  readonly admin?: string | undefined;
  /** The certificate to trust, with `--tls dev`. */
  readonly caPath?: string | undefined;
}

interface Paste {
  readonly secretId: string;
  readonly secretKey: string;
  readonly region: string;
  /** A bucket's host, with a name that has the account's suffix. */
  readonly bucketHost: string;
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  readonly caPath: string | undefined;
}

/**
 * The clients reach a plain server through their proxy setting: they send absolute-form targets with the real host
 * names, which needs no name resolution and signs the names that the cloud would see. (run against Node 3.0.0, Python
 * 1.9.44, Go 0.7.70 and coscli)
 */
function plainSnippets({ secretId, secretKey, region, bucketHost, authority }: Paste): string[] {
  const proxy = `http://${authority}`;
  return [
    "Node.js, cos-nodejs-sdk-v5",
    `  const cos = new COS({ SecretId: "${secretId}",`,
    `    SecretKey: "${secretKey}", Protocol: "http:", Proxy: "${proxy}" });`,
    "Python, cos-python-sdk-v5",
    `  client = CosS3Client(CosConfig(Region="${region}", SecretId="${secretId}",`,
    `    SecretKey="${secretKey}", Scheme="http", Proxies={"http": "${proxy}"}))`,
    "Go, cos-go-sdk-v5",
    `  bucket, _ := url.Parse("http://${bucketHost}")`,
    `  proxy, _ := url.Parse("${proxy}")`,
    `  auth := &cos.AuthorizationTransport{SecretID: "${secretId}",`,
    `    SecretKey: "${secretKey}", Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}`,
    "  client := cos.NewClient(&cos.BaseURL{BucketURL: bucket}, &http.Client{Transport: auth})",
    "coscli, whose cp and sync take the proxy with --disable-long-links only",
    `  HTTP_PROXY=${proxy} coscli ls --init-skip -p http -e cos.${region}.myqcloud.com \\`,
    `    -i ${secretId} -k ${secretKey}`,
  ];
}

/**
 * Over TLS a proxy would be asked for a tunnel; the clients keep the real `Host` while they connect to the address.
 * (run against the same clients, with `NODE_EXTRA_CA_CERTS` and `SSL_CERT_FILE`)
 */
function tlsSnippets({ secretId, secretKey, region, bucketHost, host, port, authority, caPath }: Paste): string[] {
  const trust = caPath === undefined ? "" : `, VerifySSL="${caPath}"`;
  const lines = [
    "Node.js, cos-nodejs-sdk-v5",
    `  const cos = new COS({ SecretId: "${secretId}",`,
    `    SecretKey: "${secretKey}", Protocol: "https:", Ip: "${authority}" });`,
    "Python, cos-python-sdk-v5",
    `  client = CosS3Client(CosConfig(Region="${region}", SecretId="${secretId}",`,
    `    SecretKey="${secretKey}", Scheme="https", IP="${host}", Port=${port},`,
    `    ServiceDomain="${authority}"${trust}))`,
    "Go, cos-go-sdk-v5",
    `  bucket, _ := url.Parse("https://${authority}")`,
    `  auth := &cos.AuthorizationTransport{SecretID: "${secretId}",`,
    `    SecretKey: "${secretKey}"}`,
    "  client := cos.NewClient(&cos.BaseURL{BucketURL: bucket}, &http.Client{Transport: auth})",
    `  client.Host = "${bucketHost}"`,
    "coscli reaches an HTTPS server by name only: give the names below an entry in your hosts file",
    `  ${host.replaceAll(/[[\]]/g, "")} cos.${region}.myqcloud.com ${bucketHost}`,
    `  coscli ls --init-skip -e cos.${region}.myqcloud.com:${port} -i ${secretId} -k ${secretKey}`,
  ];
  if (caPath === undefined) return lines;
  return [
    `Trust the authority first (Node.js, Go): export NODE_EXTRA_CA_CERTS=${caPath} SSL_CERT_FILE=${caPath}`,
    ...lines,
  ];
}

function isSecure({ tls, tlsCert }: Settings): boolean {
  return tls === "dev" || tlsCert !== "";
}

/** Settings to paste, of every client in turn, each under a line that begins with its name. */
function snippets(settings: Settings, host: string, port: number, caPath: string | undefined): string[] {
  const near = reachableHost(host);
  const { appid, region, secretId, secretKey } = settings;
  const paste = {
    secretId,
    secretKey: secretKey === DEVELOPMENT_SECRET_KEY ? secretKey : "YOUR_SECRET_KEY",
    region,
    bucketHost: `demo-${appid}.cos.${region}.myqcloud.com`,
    host: near.includes(":") ? `[${near}]` : near,
    port,
    authority: formatListen({ host: near, port }),
    caPath,
  };
  return isSecure(settings) ? tlsSnippets(paste) : plainSnippets(paste);
}

/** Those of one client, by the beginning of its line, for a server at the address of the settings. */
export function snippetsOf(settings: Settings, client: string): readonly string[] {
  const lines = snippets(settings, settings.listen.host, settings.listen.port, undefined);
  const from = lines.findIndex((line) => line.startsWith(client));
  const rest = lines.slice(from + 1);
  const end = rest.findIndex((line) => !line.startsWith(" "));
  return from < 0 ? [] : [lines[from] as string, ...rest.slice(0, end < 0 ? undefined : end)];
}

/** The whole text, ending in a newline. Root keys of one's own are never in it: terminals are logged and shared. */
export function banner({ settings, host, port, version, admin, caPath }: BannerFacts): string {
  const { appid, data, memory, region, secretId } = settings;
  const secure = isSecure(settings);
  const near = reachableHost(host);
  const authority = formatListen({ host: near, port });
  const published = settings.secretKey === DEVELOPMENT_SECRET_KEY;
  const secretKey = published ? settings.secretKey : "YOUR_SECRET_KEY";

  const facts = [
    ["SecretId", secretId],
    ["SecretKey", published ? `${secretKey}   (development key, known to everyone)` : "(your own)"],
    ["APPID", `${appid}   (buckets are named like demo-${appid})`],
    ["Region", region],
    ["Data", memory ? "in memory, gone when this stops" : data],
    ...(admin === undefined ? [] : [["Admin", admin]]),
    ...(caPath === undefined ? [] : [["CA", caPath]]),
  ].map(([name = "", value = ""]) => `  ${name.padEnd(10)} ${value}`);

  return [
    `cosbox ${version} listens on ${secure ? "https" : "http"}://${authority}`,
    "",
    ...facts,
    "",
    ...snippets(settings, host, port, caPath),
    "",
    "Stop with Ctrl-C.",
    "",
  ].join("\n");
}
