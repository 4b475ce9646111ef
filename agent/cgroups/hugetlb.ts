import type { HugepageLimit } from "../../protocol/oci.ts";
import { invalid, type Setting } from "./setting.ts";

/** The writes for `linux.resources.hugepageLimits`: used and reserved pages get the same limit, as with runc. */
export function hugetlbSettings(limits: HugepageLimit[]): Setting[] {
  return limits.flatMap(({ pageSize, limit }, index) => {
    const field = `linux.resources.hugepageLimits[${index}]`;
    if (!/^\d+(KB|MB|GB)$/.test(pageSize)) {
      invalid(`${field}.pageSize`, `must be a size like "2MB", not ${JSON.stringify(pageSize)}`);
    }
    const value = limit.toString();
    return [
      { file: `hugetlb.${pageSize}.max`, value, field },
      // Kernels before 5.7 have no limit for reservations.
      { file: `hugetlb.${pageSize}.rsvd.max`, value, field, absentIsFine: true as const },
    ];
  });
}
