/** The one `io.caisson.*` annotation that is no setting: which bind mounts of files are images of disks. */
export const DISK_IMAGES = "io.caisson.disk_images";
