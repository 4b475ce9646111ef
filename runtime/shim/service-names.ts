/** Of the Task service that we serve: the same methods under both. */
export const TASK_SERVICES = ["containerd.task.v2.Task", "containerd.task.v3.Task"] as const;
