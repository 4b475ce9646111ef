/** What an engine has written of a container, made a configuration for a VM (guest-spec.ts says what comes then). */
import type { Namespace, Spec } from "../../../protocol/oci.ts";
import { type Bundle, loadBundle } from "../../oci/bundle.ts";
import { takeDevices } from "../../oci/guest-devices.ts";
import { takeModules } from "../../oci/guest-modules.ts";
import { keepGroups } from "../../oci/kept-groups.ts";
import { takeOwnSources } from "../../oci/own-sources.ts";
import { dropHostCgroups } from "./host-cgroups.ts";
import { dropLabels, isObject } from "./host-labels.ts";
import { type BoundNamespaces, isFromCrio, podNamespaces } from "./pod-namespaces.ts";
import { takeSharedMemory } from "./shared-memory.ts";

/** What is known of the container beside its bundle. */
export interface EngineContext {
  /** The container that has this pid on the host. */
  containerOf(pid: number): string | undefined;
  /** The namespaces of CRI-O's pod that the container `id` is in. */
  bound?: { namespaces: BoundNamespaces; id: string } | undefined;
  /** The configuration with what the container gets from its sandbox. */
  complete?: ((document: unknown) => unknown) | undefined;
  /** Supplementary groups of whoever has asked for the container. */
  groups?: readonly number[] | undefined;
}

/** In their order; the document is as the engine wrote it, and may not be valid. */
const DOCUMENT: readonly ((document: unknown, context: EngineContext) => unknown)[] = [
  (document, { complete = (given) => given }) => complete(document),
  dropLabels,
  (document) => dropHostCgroups(document),
  withPodNamespaces,
];

/** In their order; what they set aside has no part in the share, and comes back in toGuestSpec(). */
const ASIDE: readonly ((spec: Spec, rootfs: string, context: EngineContext) => Spec)[] = [
  (spec, _rootfs, { groups = [] }) => keepGroups(spec, groups),
  (spec) => takeDevices(spec),
  takeOwnSources,
  takeModules,
  takeSharedMemory,
];

/** Reads a bundle for a VM. Throws as loadBundle() does. */
export function readBundle(directory: string, context: EngineContext): Bundle {
  const bundle = loadBundle(directory, (document) => rewriteDocument(document, context));
  return { ...bundle, config: setAside(bundle.config, bundle.rootfs, context) };
}

export function rewriteDocument(document: unknown, context: EngineContext): unknown {
  return DOCUMENT.reduce((before, rewrite) => rewrite(before, context), document);
}

export function setAside(spec: Spec, rootfs: string, context: EngineContext): Spec {
  return ASIDE.reduce((before, rewrite) => rewrite(before, rootfs, context), spec);
}

/** Namespaces of the sandbox's other containers by the names that they have in the guest. */
function withPodNamespaces(document: unknown, { containerOf, bound }: EngineContext): unknown {
  if (!isObject(document) || !isObject(document["linux"])) return document;
  const { linux } = document;
  const given: unknown = linux["namespaces"];
  if (!Array.isArray(given)) return document;
  const ofCrio = bound !== undefined && isFromCrio(document);
  const own: readonly Namespace[] = ofCrio ? bound.namespaces.inGuest(given, bound.id) : given;
  return { ...document, linux: { ...linux, namespaces: podNamespaces(own, containerOf) } };
}
