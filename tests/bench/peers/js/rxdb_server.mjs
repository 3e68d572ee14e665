// rxdb-server with rxdb in memory: a collection of documents {id, body}, replication door /concern/0.
// Its one argument is the port.
import { createRxDatabase } from "rxdb/plugins/core";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { createRxServer } from "rxdb-server/plugins/server";
import { RxServerAdapterExpress } from "rxdb-server/plugins/adapter-express";

const database = await createRxDatabase({ name: "peers", storage: getRxStorageMemory() });
await database.addCollections({
  concern: {
    schema: {
      version: 0,
      primaryKey: "id",
      type: "object",
      properties: {
        id: { type: "string", maxLength: 100 },
        body: { type: "object", additionalProperties: true },
      },
      required: ["id", "body"],
    },
  },
});
const server = await createRxServer({
  database,
  adapter: RxServerAdapterExpress,
  port: Number(process.argv[2]),
  hostname: "127.0.0.1",
});
server.addReplicationEndpoint({ name: "concern", collection: database.concern });
await server.start();
console.log("ready");
