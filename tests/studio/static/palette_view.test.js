import assert from "node:assert/strict";
import { test } from "node:test";
import { found } from "../../../studio/static/palette_view.js";

const places = ["Runs", "lumo-lantern #3", "lumo-lantern #12", "Datasets", "my runs"].map((name) => ({
  name,
  more: "",
  href: name,
}));
const names = (text) => found(places, text).map((place) => place.name);

test("all places without a text; else those with all its words, the ones that start with it first", () => {
  assert.equal(names("").length, 5);
  assert.deepEqual(names("runs"), ["Runs", "my runs"]);
  assert.deepEqual(names("LANTERN 12"), ["lumo-lantern #12"]);
  assert.deepEqual(names("nothing"), []);
});
