// The main job in Chromium.

import { mainJob } from '../support/main-job.mjs';
import { test } from '../support/visitor.mjs';

mainJob(test);
