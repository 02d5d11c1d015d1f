/** Which client sent a request, as its User-Agent says. Pure. */

/** A client that people know by name. */
export interface ClientName {
  readonly name: string;
  /** Empty where it does not say. */
  readonly version: string;
  /** The beginning of its settings in the banner; undefined for one that has none there. */
  readonly settings?: "Node.js" | "Python" | "Go" | "coscli";
}

const KNOWN: readonly (readonly [form: RegExp, name: string, settings?: ClientName["settings"]])[] = [
  [/^cos-nodejs-sdk-v5-([\d.]+)/, "cos-nodejs-sdk-v5", "Node.js"],
  [/^cos-python-sdk-v5\.?([\d.]*)/, "cos-python-sdk-v5", "Python"],
  [/coscli[/-]v?([\d.]*)/i, "coscli", "coscli"],
  [/^cos-go-sdk-v5\/([\d.]+)/, "cos-go-sdk-v5", "Go"],
  [/^cos-java-sdk-v?([\d.]*)/, "cos-java-sdk"],
  [/^cos-php-sdk-v5\.?([\d.]*)/, "cos-php-sdk-v5"],
  [/^cos-cpp-sdk-v?([\d.]*)/, "cos-cpp-sdk"],
  [/^cos-net-sdk[-.]?([\d.]*)/i, "cos-dotnet-sdk"],
  [/^aws-sdk-js\/([\d.]+)/, "AWS SDK for JavaScript"],
  [/^aws-cli\/([\d.]+)/, "aws"],
  [/^Boto3\/([\d.]+)/, "boto3"],
  [/^aws-sdk-go(?:-v2)?\/([\d.]+)/, "AWS SDK for Go"],
  [/^aws-sdk-java\/([\d.]+)/, "AWS SDK for Java"],
  [/^MinIO .*minio-\w+\/([\d.]+)/, "minio"],
  [/^rclone\/v?([\d.]+)/, "rclone"],
  [/^curl\/([\d.]+)/, "curl"],
];

/** Undefined for a client that nobody knows, or that does not say. */
export function clientName(userAgent: string | undefined): ClientName | undefined {
  for (const [form, name, settings] of KNOWN) {
    const [found, version = ""] = form.exec(userAgent ?? "") ?? [];
    if (found !== undefined) return { name, version, ...(settings === undefined ? {} : { settings }) };
  }
  return undefined;
}
