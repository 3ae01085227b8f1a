// May this page use the microphone, and why did it not get it?

import type { Capture, VoiceFailure } from "./protocol";

interface FeaturePolicy {
  allowsFeature(name: string): boolean;
}

/** Whether the portal's page hands the microphone down to this frame; null where the browser does not tell. */
export function isDelegated(): boolean | null {
  const policy = (document as { featurePolicy?: FeaturePolicy }).featurePolicy;
  return policy ? policy.allowsFeature("microphone") : null;
}

/** What the page may do, as far as that is known without asking the person, and what stands against it. */
export async function measureCapture(): Promise<{ capture: Capture; obstacle: VoiceFailure | "" }> {
  const state = await permissionState();
  const obstacle = await findObstacle(state);
  if (obstacle !== "") return { capture: "no", obstacle };
  return { capture: state === "granted" ? "yes" : state === "prompt" ? "ask" : "unknown", obstacle };
}

async function findObstacle(state: PermissionState | "unknown"): Promise<VoiceFailure | ""> {
  if (isDelegated() === false) return "not-delegated";
  if (!navigator.mediaDevices) return "other";
  if (state === "denied") return "denied";
  return (await hasDevice()) ? "" : "no-device";
}

/** Calls back whenever the answer of `measureCapture` may have changed. */
export async function watchCapture(changed: () => void): Promise<void> {
  navigator.mediaDevices?.addEventListener("devicechange", changed);
  const status = await permission();
  status?.addEventListener("change", changed);
}

/** Why getUserMedia failed. "Refused" and "not handed down" are the same error to `catch`. */
export function failureOf(error: unknown, delegated: boolean | null): VoiceFailure {
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return delegated === false ? "not-delegated" : "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "no-device";
  if (name === "TimeoutError") return "timeout";
  return "other";
}

async function permissionState(): Promise<PermissionState | "unknown"> {
  return (await permission())?.state ?? "unknown";
}

async function permission(): Promise<PermissionStatus | null> {
  try {
    return await navigator.permissions.query({ name: "microphone" as PermissionName });
  } catch {
    // This browser can't tell.
    return null;
  }
}

async function hasDevice(): Promise<boolean> {
  try {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.some((device) => device.kind === "audioinput");
  } catch {
    // It can't tell: asking for the microphone will.
    return true;
  }
}
