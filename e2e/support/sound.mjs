// A sound server of its own with a microphone that plays files, for browsers that cannot be given a fake one: PulseAudio,
// whose clients find it by the environment. Firefox's audio needs an output too; this one leads nowhere.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The same folder for the browser's environment and the server; one test runs at a time. */
const FOLDER = path.join(os.tmpdir(), `rill-sound-${process.env.RILL_PORT ?? 8123}`);

/** What a browser must have in its environment to use it. It need not run yet when the browser starts. */
export const SOUND = { PULSE_SERVER: `unix:${FOLDER}/socket`, XDG_RUNTIME_DIR: FOLDER };

export class Sound {
  /** Start the server. */
  static async start() {
    rmSync(FOLDER, { recursive: true, force: true });
    mkdirSync(FOLDER, { mode: 0o700 });
    const modules = [
      `module-native-protocol-unix socket=${FOLDER}/socket auth-anonymous=1`,
      'module-null-sink sink_name=nowhere rate=48000 channels=2',
      'module-null-sink sink_name=mouth rate=48000 channels=1',
      'module-remap-source source_name=microphone master=mouth.monitor source_properties=device.description=Microphone',
    ];
    const args = ['-n', '--daemonize=no', '--exit-idle-time=-1', ...modules.map((module) => `--load=${module}`)];
    const sound = new Sound(spawn('pulseaudio', args, { env: { ...process.env, ...SOUND }, stdio: 'ignore' }));
    for (let tries = 0; sound.#run('pactl', 'info').status !== 0; tries++) {
      if (tries === 100) {
        sound.end();
        throw new Error('PulseAudio does not answer: run `cargo xtask test --browsers`, which installs it');
      }
      await pause(100);
    }
    sound.#run('pactl', 'set-default-sink', 'nowhere');
    sound.#run('pactl', 'set-default-source', 'microphone');
    return sound;
  }

  #server;

  constructor(server) {
    this.#server = server;
    server.on('error', () => {}); // `start` says so.
  }

  #run(program, ...args) {
    return spawnSync(program, args, { env: { ...process.env, ...SOUND }, stdio: 'ignore' });
  }

  /** Say a WAV file into the microphone; returns at its end. */
  async say(file) {
    const player = spawn('paplay', ['--device=mouth', file], { env: { ...process.env, ...SOUND }, stdio: 'ignore' });
    const status = await new Promise((ended) => player.on('error', ended).on('exit', ended));
    if (status !== 0) throw new Error(`paplay ended with ${status}`);
  }

  end() {
    this.#server.kill();
    rmSync(FOLDER, { recursive: true, force: true });
  }
}
