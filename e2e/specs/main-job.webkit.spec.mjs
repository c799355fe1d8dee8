// The main job in WebKitGTK.

import { mainJob } from '../support/main-job.mjs';
import { webkitTest } from '../support/visitor.mjs';

mainJob(webkitTest);
