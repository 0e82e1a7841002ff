// What the Try it page says: who answers, how an answer ended, what the children hold. No access to the page.
// @ts-check
import { fill } from "./dom.js";
import { size } from "./format.js";

/**
 * @typedef {{ run: string, base?: boolean, step?: number | null }} Speaker
 * @typedef {{ speaker: Speaker, run_name: string, model: string }} SpeakerName
 * @typedef {{ html: string, text: string, end: string | null, tokens: number, first_seconds: number | null, tokens_per_second: number | null, problem: string }} Answer
 * @typedef {{ turn: number, prompt: string, answers: Answer[] }} Turn
 * @typedef {{ model: string, device: string, memory_bytes: number, state: string, progress: [number, number] | null, moved: boolean, shared: boolean }} Child
 * @typedef {{ chat: string, speakers: SpeakerName[], turns: Turn[], busy: boolean, children: Child[] }} Chat
 */

/** The title of each speaker's column. @param {SpeakerName[]} speakers @param {Record<string, any>} texts */
export function sidesOf(speakers, texts) {
  return speakers.map(({ speaker, run_name: name, model }) => {
    if (speaker.base) return `${texts.before} · ${model.split("/").pop()}`;
    return speaker.step ? `${name} · ${fill(texts.at_step, { step: speaker.step })}` : name;
  });
}

/** Below an answer: how it ended, and its speed. @param {Answer} answer @param {Record<string, any>} texts */
export function figuresOf(answer, texts) {
  if (!answer.end || answer.end === "failed") return "";
  const end = answer.end === "complete" ? "" : texts[`end_${answer.end}`];
  const tokens = fill(texts.answer_tokens, { count: answer.tokens });
  const speed = answer.tokens_per_second === null ? "" : fill(texts.tokens_each_second, { count: answer.tokens_per_second }); // prettier-ignore
  return [end, tokens, speed].filter(Boolean).join(" · ");
}

/** What the children hold and do. @param {Child[]} children @param {Record<string, any>} texts */
export function childrenInWords(children, texts) {
  return children
    .map((child) => {
      const values = { model: child.model.split("/").pop(), device: child.device, size: size(child.memory_bytes) };
      const [done, total] = child.progress ?? [0, 0];
      const amount = total ? ` ${size(done)} / ${size(total)}` : "";
      const why = child.moved ? ` ${texts.chat_moved}` : child.shared ? ` ${texts.chat_shared}` : "";
      return fill(texts[`chat_${child.state}`], values) + amount + why;
    })
    .join(" ");
}
