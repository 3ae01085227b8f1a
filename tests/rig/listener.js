// Injected into every frame before it loads: hears what the page plays from its peer connections, and the tones that it makes.
// It reads remote audio frame by frame, so the throttled timers of a hidden frame do not matter to it. The frames come
// as soon as a media element holds the track, even a paused one, so what counts is whether an element plays it aloud.
(() => {
  if (!window.RTCPeerConnection || !window.MediaStreamTrackProcessor) return;
  const WINDOW_SECONDS = 0.1;
  const FRESH_MS = 300;
  const ears = [];
  const elements = new Set();
  const waiting = [];

  const share = (samples, rate, hz) => {
    const turn = 2 * Math.cos((2 * Math.PI * hz) / rate);
    let before = 0;
    let last = 0;
    let total = 0;
    for (const sample of samples) {
      [before, last] = [last, sample + turn * last - before];
      total += sample * sample;
    }
    if (total / samples.length < 1e-6) return 0;
    return Math.min(1, (2 * (last * last + before * before - turn * last * before)) / (total * samples.length));
  };

  const plays = (element, track) =>
    !element.paused && !element.muted && element.volume > 0 && element.srcObject?.getAudioTracks().includes(track);

  const hear = (ear, hz) => {
    if (performance.now() - ear.at > FRESH_MS) return 0;
    return ear.aloud() ? share(ear.samples, ear.rate, hz) : 0;
  };

  const take = (ear, audio) => {
    const size = Math.round(audio.sampleRate * WINDOW_SECONDS);
    if (ear.samples.length !== size) ear.samples = new Float32Array(size);
    const chunk = new Float32Array(audio.numberOfFrames);
    audio.copyTo(chunk, { planeIndex: 0, format: 'f32-planar' });
    ear.samples.copyWithin(0, Math.min(chunk.length, size));
    ear.samples.set(chunk.subarray(-size), Math.max(0, size - chunk.length));
    ear.rate = audio.sampleRate;
    ear.at = performance.now();
    audio.close();
    for (const wish of [...waiting]) {
      if (hear(ear, wish.hz) < wish.least) continue;
      waiting.splice(waiting.indexOf(wish), 1);
      wish.resolve(performance.timeOrigin + performance.now());
    }
  };

  const listen = async (track, aloud) => {
    const ear = { aloud, samples: new Float32Array(0), rate: 48000, at: -Infinity };
    ears.push(ear);
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      take(ear, value);
    }
    ears.splice(ears.indexOf(ear), 1);
  };

  const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, 'srcObject');
  Object.defineProperty(HTMLMediaElement.prototype, 'srcObject', {
    configurable: true,
    get,
    set(stream) {
      elements.add(this);
      set.call(this, stream);
    },
  });
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...settings) {
      super(...settings);
      this.addEventListener('track', ({ track }) => {
        if (track.kind === 'audio') listen(track, () => [...elements].some((element) => plays(element, track)));
      });
    }
  };
  const { connect } = AudioNode.prototype;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const { context } = target;
      const ear = new MediaStreamAudioDestinationNode(context);
      connect.call(this, ear);
      listen(ear.stream.getAudioTracks()[0], () => context.state === 'running');
    }
    return connect.call(this, target, ...rest);
  };
  // The share (0 to 1) of the power at hz in the last 100 ms, of whichever sound has most of it.
  window.__heard = (hz) => Math.max(0, ...ears.map((ear) => hear(ear, hz)));
  // Resolves with the time (ms since 1970) at which the tone is heard.
  window.__hears = (hz, least = 0.5) => new Promise((resolve) => waiting.push({ hz, least, resolve }));
})();
