// node graphile.js fill DATABASE < payloads, then node graphile.js work DATABASE ADDRESS until SIGTERM. The settings are
// those of its page on performance, with more jobs at a time: https://worker.graphile.org/docs/performance
import { Logger, makeWorkerUtils, run, WorkerPreset } from "graphile-worker";
import { inThousands, poster } from "./post.js";

const [task, connectionString, address] = process.argv.slice(2);
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

if (task === "fill") {
  const utils = await makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  await inThousands((payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: "send", payload }))));
  await utils.release();
} else {
  const post = poster(address);
  const worker = {
    connectionString, logger, concurrentJobs: 200, maxPoolSize: 25,
    localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0,
  };
  const runner = await run({ preset: { extends: [WorkerPreset], worker }, taskList: { send: post } });
  await runner.promise;
}
