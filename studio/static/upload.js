// Sends a file to the studio, and tells how much of it has arrived.
// @ts-check
import { pageLanguage } from "./dom.js";

/**
 * @param {string} path
 * @param {File} file
 * @param {Record<string, any>} texts
 * @param {(percent: number) => void} tell
 * @returns {Promise<any>} the answer; refused with a sentence
 */
export function upload(path, file, texts, tell) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.upload.onprogress = (event) => tell(Math.round((100 * event.loaded) / event.total));
    request.onerror = () => reject(new Error(texts.no_connection));
    request.onload = () => {
      let body = {};
      try {
        body = JSON.parse(request.responseText);
      } catch {
        /* said below */
      }
      if (request.status < 300) resolve(body);
      else reject(new Error(/** @type {any} */ (body).detail || request.statusText));
    };
    request.setRequestHeader("X-Finetune-Language", pageLanguage());
    request.send(file);
  });
}
