/** The regions and the domains that exist without being configured. (regions and access domains page) */

/** Regions of the public cloud, then those of the finance cloud, which older pages list. */
export const REGIONS: readonly string[] = [
  "ap-beijing-1",
  "ap-beijing",
  "ap-nanjing",
  "ap-shanghai",
  "ap-guangzhou",
  "ap-chengdu",
  "ap-chongqing",
  "ap-hongkong",
  "ap-singapore",
  "ap-mumbai",
  "ap-jakarta",
  "ap-seoul",
  "ap-bangkok",
  "ap-tokyo",
  "na-siliconvalley",
  "na-ashburn",
  "na-toronto",
  "sa-saopaulo",
  "eu-frankfurt",
  "ap-beijing-fsi",
  "ap-shanghai-fsi",
  "ap-shenzhen-fsi",
];

/**
 * Domains under which host names are read. The first two are the service's own (`tencentcos.cn` since July 2022);
 * `localhost` works where the resolver maps names below it to loopback, which glibc's does not.
 */
export const SUFFIXES: readonly string[] = ["myqcloud.com", "tencentcos.cn", "localhost"];
