// A short sound, made here: two notes for what wants a look, three rising ones for what wants somebody now.

let context = null;

/** Browsers let a page make sound only after somebody has used it: call this in a click. */
export async function wakeSound() {
  context ??= new AudioContext();
  if (context.state === "suspended") await context.resume().catch(() => {});
  return context.state === "running";
}

export const canSound = () => context?.state === "running";

/** Play it; false where the browser does not allow it (yet). */
export function chime(level) {
  if (!canSound()) return false;
  const notes = level >= 3 ? [659, 784, 988, 659, 784, 988] : [659, 523];
  notes.forEach((frequency, index) => {
    const start = context.currentTime + index * 0.2 + (index > 2 ? 0.25 : 0);
    const tone = new OscillatorNode(context, { type: "triangle", frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.25, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, start + 0.34);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + 0.36);
  });
  return true;
}
