/** What this package throws on purpose: `code` says what failed, the message what happened and what to do. */
export class MienError extends Error {
  /**
   * @param {"model" | "detector" | "picture" | "runtime"} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "MienError";
    this.code = code;
  }
}
