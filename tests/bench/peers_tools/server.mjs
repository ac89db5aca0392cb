// The smallest HTTP server around iiif-processor: node server.mjs PICTURE WIDTH HEIGHT PORT
// It serves PICTURE as /iiif/3/picture, and knows its dimensions, so that no request reads the file for them.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

// The packages are where this is run, not where this file is.
const { Processor } = createRequire(join(process.cwd(), "package.json"))("iiif-processor");

const [picture, width, height, port] = process.argv.slice(2);
const streamResolver = async () => createReadStream(picture);
const dimensionFunction = async () => ({ width: Number(width), height: Number(height) });

async function answer(request, response) {
  try {
    const url = `http://127.0.0.1:${port}${request.url}`;
    const result = await new Processor(url, streamResolver, { dimensionFunction }).execute();
    if (result.type !== "content") throw result;
    response.writeHead(200, { "content-type": result.contentType, "content-length": result.body.length });
    response.end(result.body);
  } catch (error) {
    response.writeHead(error.statusCode ?? 500);
    response.end(String(error.message));
  }
}

createServer(answer).listen(Number(port), "127.0.0.1");
