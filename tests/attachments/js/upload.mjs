// tus-js-client, unmodified, uploads one file: node upload.mjs ENDPOINT TOKEN FILE SHA256 CHUNK_BYTES
import { createReadStream, statSync } from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, token, file, sha256, chunk] = process.argv.slice(2);
let requests = 0;
const upload = new Upload(createReadStream(file), {
  endpoint,
  uploadSize: statSync(file).size,
  chunkSize: Number(chunk),
  retryDelays: Array(200).fill(20),
  metadata: { sha256 },
  headers: { Authorization: `Bearer ${token}` },
  onBeforeRequest: () => { requests += 1; },
  onError: (error) => { console.error(String(error).slice(0, 400)); process.exit(1); },
  onSuccess: () => { console.log(JSON.stringify({ url: upload.url, requests })); },
});
upload.start();
