// Starts the page: reads what the server painted, starts the frame and the one page at hand, opens the connection.

import { startFrame } from "./frame.js";
import { loadMessages } from "./i18n.js";
import { startNotify } from "./notify.js";
import { Socket } from "./socket.js";
import { Store } from "./store.js";
import { watchStore } from "./watch.js";

const { page: name } = document.body.dataset;
const store = new Store(JSON.parse(document.getElementById("first").textContent));
const [page] = await Promise.all([import(`./pages/${name}.js`), loadMessages()]); // the page's own have been asked for beside this one
let socket = null;
startFrame(store, () => socket);
watchStore(store);
startNotify(store);
page.start(store);
socket = new Socket(store, document.body.dataset.socket, name);
window.wakelessStarted();
