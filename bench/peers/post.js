// One POST for each job, over connections that stay open; what is not 2xx fails the job, so that it is tried again.
import { Agent, request } from "node:http";

const agent = new Agent({ keepAlive: true, maxSockets: 200 });

export function poster(address) {
  const { hostname, port, pathname: path } = new URL(address);
  return (payload) =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify(payload);
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const call = request({ agent, hostname, port, path, method: "POST", headers }, (answer) => {
        answer.resume();
        answer.on("end", () => (answer.statusCode < 300 ? resolve() : reject(new Error(`HTTP ${answer.statusCode}`))));
        answer.on("error", reject);
      });
      call.on("error", reject);
      call.end(body);
    });
}

// Calls enqueue with each thousand of the payloads that standard input has, one a line.
export async function inThousands(enqueue) {
  const { createInterface } = await import("node:readline");
  let payloads = [];
  for await (const line of createInterface({ input: process.stdin })) {
    payloads.push(JSON.parse(line));
    if (payloads.length === 1000) {
      await enqueue(payloads);
      payloads = [];
    }
  }
  if (payloads.length > 0) await enqueue(payloads);
}
