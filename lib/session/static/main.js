/** The page of the interactive session: puts its panels together. */

import { getJson } from "./api.js";
import { ClassPanel } from "./classes.js";
import { ClusterList } from "./clusters.js";
import { byId, count, segmented, some } from "./dom.js";
import { ExportDialog } from "./exporting.js";
import { Gallery } from "./gallery.js";
import { fillHelp, listenToKeys } from "./keyboard.js";
import { closeMenus, movable, tabs } from "./layout.js";
import { MapPanel } from "./map.js";
import { fetchMeasure, wireMeasures } from "./measures.js";
import { Notices } from "./notices.js";
import { Patches } from "./patches.js";
import { SimilarBar } from "./similar.js";
import { Store } from "./store.js";
import { TeachPanel } from "./teach.js";
import { TomogramList } from "./tomograms.js";
import { TomogramPanel } from "./tomogram.js";

const METHODS = { umap: "UMAP", tsne: "t-SNE", pca: "principal components" };

const notices = new Notices();
const store = new Store();

/** Show what the table is, and what the user must know about it. */
function introduce() {
  const { session, rows } = store;
  document.title = `${session.run} – explorer`;
  byId("run-name").textContent = session.run;
  byId("run-name").title = session.mode;
  byId("run-size").textContent =
    `${some(rows, "candidate")} · ${some(session.tomograms.length, "tomogram")}`;
  const [newest] = session.history;
  byId("run-history").hidden = !newest;
  byId("run-history").textContent = newest ?? "";
  byId("run-history").title = session.history.join("\n");
  byId("map-method").textContent = METHODS[session.layout.map] ?? session.layout.map;
  byId("map-method").title = session.layout.note ?? "";
  byId("phoenix-link").hidden = !session.phoenix.available;
  if (session.phoenix.why) byId("phoenix-link").title = session.phoenix.why;
  for (const note of session.notes) notices.keep(note);
  if (!session.patches.available && !session.notes.length) notices.keep("There are no patches to show; plot_2d.py writes them.");
  if (store.state.read_only) notices.keep(store.state.read_only);
}

/** The controls above all panels. */
function wireToolbar(similar) {
  const showTool = segmented(byId("tools"), (tool) => {
    store.tool = tool;
    store.tell("tool");
  });
  showTool(store.tool);
  segmented(byId("combine"), (how) => (store.how = how))(store.how);
  const color = /** @type {HTMLSelectElement} */ (byId("color-by"));
  const show = () => {
    color.querySelector("[value=score]").disabled = !store.shownScores;
    color.value = store.colorBy;
  };
  color.addEventListener("change", () => notices.guard(async () => {
    const begin = performance.now();
    await fetchMeasure(store, color.value);
    store.colorBy = color.value;
    store.recolor();
    color.dataset.milliseconds = (performance.now() - begin).toFixed(1);
    color.blur();
  }));
  store.listen(["colorBy", "scores"], show);
  show();
  wireMeasures(store, notices, color);
  for (const name of ["undo", "redo"]) {
    byId(name).addEventListener("click", () => notices.guard(() => store[name]()));
  }
  const showHistory = () => {
    const [undo, redo] = [store.canUndo(), store.canRedo()];
    byId("undo").disabled = !undo;
    byId("redo").disabled = !redo;
    byId("undo").title = undo ? `Undo: ${undo} (Ctrl Z)` : "Nothing to undo";
    byId("redo").title = redo ? `Redo: ${redo} (Ctrl Shift Z)` : "Nothing to redo";
  };
  store.listen(["selection", "classes"], showHistory);
  showHistory();
  byId("selection-clear").addEventListener("click", () => {
    similar.close();
    store.select(new Uint8Array(store.rows));
  });
  const clear = () => (byId("selection-clear").disabled = !store.selectedCount);
  store.listen(["selection"], clear);
  clear();
}

/** First steps, shown until something is named; each is ticked off when it is done. */
function wireHints() {
  const steps = byId("hints");
  const done = () => {
    const named = store.state.classes.some((each) => each.count > 0);
    byId("hint-select").classList.toggle("done", store.selectedCount > 0 || named);
    byId("hint-name").classList.toggle("done", named);
    steps.hidden = steps.hidden || (named && steps.dataset.exported === "yes");
  };
  store.listen(["selection", "classes"], done);
  byId("export-open").addEventListener("click", () => {
    if (!store.selectedCount && !store.state.classes.length) return;
    byId("hint-export").classList.add("done");
    steps.dataset.exported = "yes";
    done();
  });
  byId("hints-close").addEventListener("click", () => (steps.hidden = true));
  steps.hidden = store.state.classes.length > 0;
  done();
}

/** Another window or session may have changed the classes: ask when this one comes back. */
function followOthers() {
  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState !== "visible") return;
    await notices.guard(async () => {
      const state = await getJson("api/state");
      const { version, read_only } = store.state;
      if (state.version !== version || state.read_only !== read_only) await store.accept(state);
      if (state.read_only && state.read_only !== read_only) notices.keep(state.read_only);
    });
  });
}

async function begin() {
  try {
    await store.load();
  } catch (error) {
    byId("loading").textContent = error.message;
    return;
  }
  introduce();
  const failed = (error) => notices.fail(error);
  const patches = new Patches(store, failed);
  const clusters = new ClusterList(store, patches, failed);
  const map = new MapPanel(store, patches);
  const tomogram = new TomogramPanel(store, patches, failed);
  new TomogramList(store, (index) => tomogram.open(index));
  new Gallery(store, patches, failed);
  const classes = new ClassPanel(store, notices);
  const similar = new SimilarBar(store, notices);
  const teach = new TeachPanel(store, notices, patches, { similar, classes });
  new ExportDialog(store, notices);
  wireToolbar(similar);
  wireHints();
  fillHelp();
  closeMenus();
  listenToKeys(store, { classes, tomogram, similar, teach });
  tabs(byId("side-tabs"));
  movable(byId("border-middle"), "--map-width", true);
  movable(byId("border-bottom"), "--top-height", false);
  followOthers();
  byId("total").textContent = count(store.rows);
  byId("loading").remove();
  document.body.dataset.ready = "yes";
}

begin();
