/** What is run, and where. */

/** Where a workload keeps its files: the container's root file system, a volume of the host's, or the guest's memory. */
export const PLACES = { root: "/data", volume: "/volume", tmpfs: "/tmpfs" } as const;
export type Place = keyof typeof PLACES;

export interface Workload {
  /** Its file in programs/, whose first line names its interpreter. */
  file: string;
  title: string;
  /** What the quick selection runs: where, and of what size. */
  quick?: { place: Place; size: number };
  /** The second argument when all are run; what it counts is the program's. */
  size?: number;
  /** What of the network it has to do with. */
  needs?: "npm" | "mirror";
  /** Why it cannot work in a place. */
  impossible?: Partial<Record<Place, string>>;
}

const NO_ACCESS_LISTS =
  "the volume's directory has no access list on the host (test/functional/storage.test.ts has one that has)";

export const WORKLOADS: readonly Workload[] = [
  {
    file: "rights.sh",
    title: "capabilities and attributes of files, bits of folders; ping by a file capability",
    quick: { place: "root", size: 0 },
  },
  { file: "set-user-id.sh", title: "set-user-ID programs, which a write by another user makes plain ones" },
  {
    file: "access-lists.sh",
    title: "setfacl: access lists, and those that folders pass on",
    quick: { place: "root", size: 0 },
    impossible: { volume: NO_ACCESS_LISTS },
  },
  {
    file: "files.py",
    title: "locks, mappings, O_DIRECT, holes, large folders, renames and links, by several processes",
    quick: { place: "volume", size: 300 },
    size: 10_000,
  },
  {
    file: "make.sh",
    title: "recursive make with generated files, several jobs at once: nothing is stale",
    quick: { place: "root", size: 3 },
    size: 20,
  },
  { file: "sqlite.sh", title: "SQLite in WAL mode, three writers", quick: { place: "volume", size: 20 }, size: 100 },
  { file: "git.sh", title: "git clone, commit, gc, fsck", quick: { place: "root", size: 40 }, size: 300 },
  {
    file: "postgresql.sh",
    title: "PostgreSQL: pgbench, SIGKILL, recovery, amcheck",
    size: 200,
  },
  {
    file: "packages.sh",
    title: "apt-get update, install, purge; dpkg --verify",
    size: 400,
  },
  { file: "login.sh", title: "another user's session by su and by ssh" },
  { file: "mariadb.sh", title: "MariaDB: load, SIGKILL, recovery, CHECK TABLE", size: 100 },
  { file: "redis.sh", title: "Redis: AOF and RDB, SIGKILL, every write is back", size: 500 },
  { file: "compiler.sh", title: "the C compiler by make, with a static library" },
  { file: "reload.sh", title: "a server is started anew when inotify tells that its source has changed" },
  { file: "npm.sh", title: "npm pack, install, ci, run", needs: "npm" },
  { file: "mirror.sh", title: "apt-get update and install from Debian's mirror", needs: "mirror" },
  { file: "express.sh", title: "npm install of express from the registry", needs: "npm" },
];
