// The main job in the browsers that Playwright drives.

import { mainJob } from '../support/main-job.mjs';
import { test } from '../support/visitor.mjs';

mainJob(test);
