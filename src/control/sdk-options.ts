/** What `new COS(…)` of cos-nodejs-sdk-v5 needs to reach a running cosbox. */
export interface SdkOptions {
  readonly SecretId: string;
  readonly SecretKey: string;
  readonly Protocol: "http:" | "https:";
  /** Plain HTTP: the SDK keeps the real host names and sends everything here. */
  readonly Proxy?: string;
  /** HTTPS: the SDK connects here and keeps the real `Host`. */
  readonly Ip?: string;
  /** False with `tls: "dev"`, because the SDK has no setting for an authority to trust. */
  readonly StrictSsl?: boolean;
}

/** The options for a server at `endpoint`; `selfSigned` where its certificate is of a local authority. */
export function sdkOptions(
  endpoint: string,
  { secretId, secretKey }: { readonly secretId: string; readonly secretKey: string },
  selfSigned: boolean,
): SdkOptions {
  const keys = { SecretId: secretId, SecretKey: secretKey };
  if (endpoint.startsWith("http:")) return { ...keys, Protocol: "http:", Proxy: endpoint };
  return {
    ...keys,
    Protocol: "https:",
    Ip: endpoint.slice("https://".length),
    ...(selfSigned ? { StrictSsl: false } : {}),
  };
}
