// node pgboss.js fill DATABASE < payloads, then node pgboss.js work DATABASE ADDRESS until SIGTERM: four workers that fetch
// 50 jobs each and go on at once while there are more.
import { PgBoss } from "pg-boss";
import { inThousands, poster } from "./post.js";

const [task, connectionString, address] = process.argv.slice(2);
const boss = new PgBoss({ connectionString, max: 25 });
boss.on("error", (problem) => console.error(problem));
await boss.start();
await boss.createQueue("send");

if (task === "fill") {
  await inThousands((payloads) => boss.insert("send", payloads.map((data) => ({ data }))));
  await boss.stop();
} else {
  const post = poster(address);
  const options = { localConcurrency: 4, batchSize: 50, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true };
  await boss.work("send", options, (jobs) => Promise.all(jobs.map((job) => post(job.data))));
  process.on("SIGTERM", () => boss.stop().then(() => process.exit(0)));
}
