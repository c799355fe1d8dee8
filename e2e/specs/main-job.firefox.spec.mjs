// The main job in Firefox.

import { mainJob } from '../support/main-job.mjs';
import { firefoxTest } from '../support/visitor.mjs';

mainJob(firefoxTest);
