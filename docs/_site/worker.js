/* Search on a page that was opened as a file: browsers start no worker there, so the search's script
   runs in a hidden frame, and messages go to and fro as if it were one. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.append(frame);
      this.inner = frame.contentWindow;
      this.inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
      this.inner.importScripts = (...scripts) =>
        scripts.reduce((before, script) => before.then(() => this.load(script)), Promise.resolve());
      this.ready = this.load(address);
    }

    load(address) {
      return new Promise((resolve, reject) => {
        const script = this.inner.document.createElement("script");
        Object.assign(script, { src: address, onload: resolve, onerror: reject });
        this.inner.document.head.append(script);
      });
    }

    postMessage(data) {
      const message = () => this.inner.dispatchEvent(new this.inner.MessageEvent("message", { data }));
      this.ready.then(message);
    }
  };
}
