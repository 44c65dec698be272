// The thread that `digests.js` starts: reads a file slice by slice and answers how far it is, then its SHA-256.
import { sha256 } from "../vendor/noble-hashes/sha2.js";
import { bytesToHex } from "../vendor/noble-hashes/utils.js";

const SLICE_BYTES = 4 * 1024 * 1024;

onmessage = async ({ data: file }) => {
  const hash = sha256.create();
  try {
    for (let start = 0; start < file.size; start += SLICE_BYTES) {
      const slice = await file.slice(start, start + SLICE_BYTES).arrayBuffer();
      hash.update(new Uint8Array(slice));
      postMessage({ bytes: slice.byteLength });
    }
    postMessage({ sha256: bytesToHex(hash.digest()) });
  } catch {
    postMessage({ sha256: "" });  // gone or not readable: sending it says so by name
  }
};
