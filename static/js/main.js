// Starts the page: reads what the server painted, starts the frame and the one page at hand, opens the connection.

import { startFrame } from "./frame.js";
import { loadMessages } from "./i18n.js";
import { Socket } from "./socket.js";
import { Store } from "./store.js";
import { watchStore } from "./watch.js";
import * as alerts from "./pages/alerts.js";
import * as explore from "./pages/explore.js";
import * as model from "./pages/model.js";
import * as overview from "./pages/overview.js";
import * as storage from "./pages/storage.js";

const pages = { alerts, explore, model, overview, storage };

const store = new Store(JSON.parse(document.getElementById("first").textContent));
await loadMessages();
let socket = null;
startFrame(store, () => socket);
watchStore(store);
pages[document.body.dataset.page].start(store);
socket = new Socket(store, document.body.dataset.socket, document.body.dataset.page);
