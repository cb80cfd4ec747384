/**
 * System calls a cage refuses with EPERM, by number, per architecture.
 * Beyond the kernel's own checks (no capability is left inside) they are refused because each was a way to widen the kernel's surface or to leave a namespace.
 * @see https://github.com/torvalds/linux/blob/master/arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h
 */
const sameOnBoth = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_getfd: 438,
  mount_setattr: 442,
  quotactl_fd: 443,
} as const;

const x86_64 = {
  ...sameOnBoth,
  ptrace: 101,
  syslog: 103,
  pivot_root: 155,
  chroot: 161,
  acct: 163,
  mount: 165,
  umount2: 166,
  swapon: 167,
  swapoff: 168,
  reboot: 169,
  init_module: 175,
  delete_module: 176,
  quotactl: 179,
  kexec_load: 246,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  unshare: 272,
  perf_event_open: 298,
  name_to_handle_at: 303,
  open_by_handle_at: 304,
  setns: 308,
  process_vm_readv: 310,
  process_vm_writev: 311,
  kcmp: 312,
  finit_module: 313,
  kexec_file_load: 320,
  bpf: 321,
  userfaultfd: 323,
} as const;

const aarch64 = {
  ...sameOnBoth,
  umount2: 39,
  mount: 40,
  pivot_root: 41,
  chroot: 51,
  quotactl: 60,
  acct: 89,
  unshare: 97,
  kexec_load: 104,
  init_module: 105,
  delete_module: 106,
  syslog: 116,
  ptrace: 117,
  reboot: 142,
  add_key: 217,
  request_key: 218,
  keyctl: 219,
  swapon: 224,
  swapoff: 225,
  perf_event_open: 241,
  name_to_handle_at: 264,
  open_by_handle_at: 265,
  setns: 268,
  process_vm_readv: 270,
  process_vm_writev: 271,
  kcmp: 272,
  finit_module: 273,
  bpf: 280,
  userfaultfd: 282,
  kexec_file_load: 294,
} as const satisfies Record<keyof typeof x86_64, number>;

/** An architecture as seccomp sees it: `audit` is its AUDIT_ARCH value; `clone`, `clone3` and `socket` are judged by their arguments or answered otherwise. */
export type SeccompArchitecture = {
  audit: number;
  denied: Readonly<Record<string, number>>;
  clone: number;
  clone3: number;
  socket: number;
};

/** By Node's `process.arch`; elsewhere no cage can be had. */
export const seccompArchitectures: Readonly<Record<string, SeccompArchitecture>> = {
  x64: { audit: 0xc000003e, denied: x86_64, clone: 56, clone3: 435, socket: 41 },
  arm64: { audit: 0xc00000b7, denied: aarch64, clone: 220, clone3: 435, socket: 198 },
};
