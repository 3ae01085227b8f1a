// Injected into every frame before it loads, after listener.js: notes the moments that a bench needs.
(() => {
  const LEAST = 0.05; // 5 ms of the tone within the listener's 100 ms: its first packet, not half a window of it
  const door = new BroadcastChannel('bench');
  if (location.pathname === '/b24/app') {
    const clicked = (event) => {
      window.__clicked = performance.timeOrigin + event.timeStamp;
      door.postMessage('clicked');
    };
    addEventListener('click', clicked, true);
  }
  if (location.pathname !== '/b24/worker') return;
  let held = null;
  let release = () => {};
  const legs = [];
  door.onmessage = () => release();
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...settings) {
      super(...settings);
      legs.push(this);
    }
    async setLocalDescription(...description) {
      await held;
      return super.setLocalDescription(...description);
    }
  };
  // From now on a leg is not offered before the click in the phone page.
  window.__hold = () => (held = new Promise((go) => (release = go)));
  window.__connected = () => legs.some((leg) => leg.connectionState === 'connected');
  window.__listen = (hz) => (window.__heardAt = __hears(hz, LEAST));
  window.__listen(1004);
  addEventListener('pagehide', () => localStorage.setItem('bench.gone', performance.timeOrigin + performance.now()));
})();
