import { memoryLayout, memoryParameters } from "./memory-layout.ts";
import type { VmSpec } from "./spec.ts";

/**
 * The guest kernel's parameters that follow from the VM; the caller's come last and win
 * (Documentation/admin-guide/kernel-parameters.txt). @param isTemplate others are to be cloned from it.
 */
export function kernelParameters(spec: VmSpec, isTemplate = false): string[] {
  return [
    "console=ttyS0",
    "quiet",
    // Restart at once, with no reset through a keyboard controller that is not there.
    "panic=-1",
    "reboot=t",
    // No policy is loaded for the others that Debian's kernel has, and their hooks are in the way of every exec and open.
    "lsm=landlock,yama",
    // The kernel's tests of its own ciphers, and the certificates for signatures that the image's modules do not have.
    "cryptomgr.notests",
    `initcall_blacklist=${UNNEEDED_INITCALLS.join(",")}`,
    ...(spec.accelerator === "tcg" ? emulationParameters(spec.tscKhz) : []),
    ...(spec.accelerator === "tcg" && !isTemplate ? [KEEPS_LOCKS] : []),
    ...memoryParameters(memoryLayout(spec)),
    ...(spec.mostVcpus > spec.vcpus ? [`maxcpus=${spec.vcpus}`] : []),
    ...spec.kernelParams,
  ];
}

/**
 * Names that another kernel does not have it passes over.
 * - A test of a key derivation function, and nothing else.
 * - A measurement of the processor's jitter for a second source of seeds of the crypto API's generators, which are seeded by the kernel's own without it.
 * - Something for the kernel's own tests to attach BPF programs to, which looks for types among 100,000 several times.
 * - Names for the numbers of enumerations in the descriptions of tracing events (tracefs' `format` files): 100 million instructions.
 * - A search for functions that the linker has replaced, which the list of those that can be traced is then made without only when
 *   it is read: 90 million instructions of the 1,200 million that a boot has.
 */
const UNNEEDED_INITCALLS: readonly string[] = [
  "load_system_certificate_list",
  "crypto_kdf108_init",
  "jent_mod_init",
  "bpf_dummy_struct_ops_init",
  "trace_eval_init",
  "ftrace_check_for_weak_functions",
];

/**
 * With one processor the kernel takes the lock prefixes out of its code: 10,000 places, for each of which it changes the address space twice, 0.12 s of an
 * emulated boot. Those that stay are a call each in an emulator, which a template's clones would pay again and again.
 */
const KEEPS_LOCKS = "noreplace-smp";

/**
 * microvm has neither HPET nor PM timer; calibration against the PIT fails on a busy host and the boot then hangs, so
 * the kernel is told the rates. No mitigation of speculation works through an emulator, each costs time in it. Without rep_good
 * the kernel clears and copies by plain moves.
 */
function emulationParameters(tscKhz: number | undefined): string[] {
  const known = tscKhz === undefined ? [] : [`tsc_early_khz=${tscKhz}`, `lpj=${(tscKhz * 1000) / KERNEL_HZ}`];
  return [...known, "tsc=reliable", "no_timer_check", "mitigations=off", "clearcpuid=rep_good"];
}

/** CONFIG_HZ of Debian's kernels, which loops per jiffy count in. */
const KERNEL_HZ = 250;
