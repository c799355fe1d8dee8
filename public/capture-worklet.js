// Collects the microphone's samples into blocks and sends each to the page. It runs on the audio thread, where nothing
// may wait; resampling, metering and sending to the engine are left to the page.
const BLOCK_FRAMES = 512; // 32 ms at 16 kHz: smooth for a level meter, few messages.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK_FRAMES);
    this.filled = 0;
    this.running = true;
    // The page asks for what is left once, when the recording stops.
    this.port.onmessage = () => {
      this.running = false;
      this.send(true);
    };
  }

  send(last) {
    const samples = this.block.slice(0, this.filled);
    this.filled = 0;
    this.port.postMessage({ samples, last }, [samples.buffer]);
  }

  process([channels]) {
    const frames = channels?.[0]?.length ?? 0;
    for (let i = 0; this.running && i < frames; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === BLOCK_FRAMES) this.send(false);
    }
    return this.running;
  }
}

registerProcessor('capture', Capture);
