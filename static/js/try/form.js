// What is to be sent: a file, JSON or words, as the model takes them; and the same as a line for a shell.

import { all, find, show, text } from "../dom.js";
import { sayText } from "../format.js";
import { t } from "../i18n.js";
import { curl } from "./curl.js";

const PICTURES = ["image/jpeg", "image/png", "image/webp"];
const LABELS = { json: "Body as JSON", text: "Body as text" };
/** Where nothing is known of the model. */
const UNKNOWN = { forms: [], types: [], example: null, streams: false };

export class Form {
  constructor(onFile, onSend) {
    this.intake = UNKNOWN;
    this.form = null;
    this.file = null;
    /** What was written, by form. */
    this.drafts = {};
    this.words = find("#words");
    this.listen(onFile, onSend);
  }

  listen(onFile, onSend) {
    const [drop, file] = [find("#drop"), find("#file")];
    const take = (one) => { this.file = one; this.paint(); onFile(); };
    for (const button of all("[data-sample]")) {
      button.addEventListener("click", async () => {
        const answer = await fetch(button.dataset.sample);
        if (answer.ok) take(new File([await answer.blob()], `${button.dataset.sample.split("/").pop()}.jpg`, { type: "image/jpeg" }));
      });
    }
    file.addEventListener("change", () => { if (file.files[0]) take(file.files[0]); file.value = ""; });
    for (const type of ["dragenter", "dragover"]) drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over"); });
    for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
    });
    addEventListener("paste", (event) => {
      const image = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
      if (image && this.form === "file") take(image);
    });
    for (const button of all("#try-forms button")) button.addEventListener("click", () => this.choose(button.dataset.form));
    this.words.addEventListener("input", () => {
      this.drafts[this.form] = this.words.value;
      if (!find("#words-problem").hidden) this.check(); // told once, then only until it is mended
      this.paint();
    });
    this.words.addEventListener("blur", () => this.check());
    this.words.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      onSend();
    });
    find("#stream").addEventListener("change", () => this.paint());
  }

  /** The model says what it takes; null while it cannot. What somebody has written is kept. */
  learn(intake) {
    this.intake = intake ?? UNKNOWN;
    const forms = this.intake.forms.length ? this.intake.forms : ["file", "json"];
    for (const button of all("#try-forms button")) show(button, forms.includes(button.dataset.form));
    show(find("#try-forms"), forms.length > 1);
    show(find("#stream-choice"), this.intake.streams);
    const { example } = this.intake;
    this.examples = { json: JSON.stringify(example ?? {}, null, 2), text: typeof example === "string" ? example : "" };
    this.choose(forms.includes(this.form) ? this.form : forms[0]);
  }

  choose(form) {
    this.form = form;
    for (const button of all("#try-forms button")) button.setAttribute("aria-pressed", String(button.dataset.form === form));
    show(find("#try-file"), form === "file");
    show(find("#try-words"), form !== "file");
    show(find("#words-keys"), form !== "file");
    if (form !== "file") {
      text(find("#words-label"), t(LABELS[form]));
      this.words.value = this.drafts[form] ?? this.examples[form];
      this.check();
    }
    this.paint();
  }

  get streams() {
    return this.intake.streams && find("#stream").checked;
  }

  get image() {
    const { files } = this;
    return files.length ? files.every((one) => one.startsWith("image/")) : !this.file || this.file.type.startsWith("image/");
  }

  /** The content types of files that the model names. */
  get files() {
    return this.intake.types.filter((one) => !/^application\/json|\+json|^text\//.test(one));
  }

  get type() {
    if (this.form === "json") return this.intake.types.find((one) => one.includes("json")) ?? "application/json";
    if (this.form === "text") return this.intake.types.find((one) => one.startsWith("text/")) ?? "text/plain";
    return this.file?.type || (this.files.length === 1 ? this.files[0] : "application/octet-stream");
  }

  get body() {
    return this.form === "file" ? this.file : this.words.value;
  }

  /** Whether the words can be sent; says why not. */
  check() {
    let problem = "";
    if (this.form === "json") {
      try {
        JSON.parse(this.words.value);
      } catch (error) {
        problem = t("This is not valid JSON: {error}", { error: error.message });
      }
    }
    text(find("#words-problem"), problem);
    show(find("#words-problem"), Boolean(problem));
    if (problem) this.words.setAttribute("aria-invalid", "true");
    else this.words.removeAttribute("aria-invalid");
    return !problem;
  }

  paint() {
    const pictures = this.files.length ? this.image : false;
    find("#file").accept = this.files.join(",");
    text(find("#drop-hint b"), this.file && !this.image ? `${this.file.name} · ${sayText(this.file.size, "bytes")}` : pictures ? t("Drop an image here, or choose one") : t("Drop a file here, or choose one"));
    const stock = pictures && this.files.every((one) => PICTURES.includes(one));
    text(find("#drop-note"), stock ? t("JPEG, PNG or WebP. Pasting works, too. The image is not kept.") : [this.files.join(", "), t("The file is not kept.")].filter(Boolean).join(" · "));
    show(find("#send"), this.form !== "file" || this.file !== null);
    find("#send").classList.toggle("primary", this.form !== "file"); // a file is sent as soon as it is chosen
    text(find("#send span"), this.form === "file" ? t("Send again") : t("Send"));
    const { form, body, type, image, streams: stream } = this;
    text(find("#curl"), curl(find("#curl").dataset.url, { form, body, type, image, stream }));
  }
}
