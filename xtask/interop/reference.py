#!/usr/bin/env python3
"""Runs steps with the reference (PyPI `metaxy`) and writes what it answers.

Each line of the input names a folder: its `request.json` is run in a process of its own, which writes `answers.json`, and what it says to
`log`; then a line of the output says how that process ended. Importing the reference takes longer than most requests, and is done once.

A request is {"kind", "config": path of a metaxy.toml, "access": "r" | "w", "project", "graphs", "steps": [step]}; the answers are a list
with one member per step, null where a step only does something. A step has an `op`:

    define    `graph`: the definitions of that name become the graph
    load      `snapshot` (0 = pushed first, -1 = last): the graph becomes one that was pushed; answers its project version
    push      `project`, `tags`; answers {project_version, already_pushed}
    write     `feature`, `rows` (see values.py), optional `materialization_id`
    apply     `feature`: resolves and writes new and stale; optional `expand` = {column, count}: each row so often, numbered;
              `unique`: one row per ID; `with`: further columns {name: {type, value}}
    delete    `feature`, `filters` (SQL texts), `hard`, `with_feature_history`
    read      `feature`, optional `filters`, `columns`, `with_feature_history`, `with_sample_history`, `include_soft_deleted`, and
              `of_graph`: the feature version of that graph; answers a frame
    resolve   `feature`, optional `samples`, `filters` {feature: [text]}, `global_filters`, `target_filters`,
              `staleness_predicates`, `skip_comparison`; answers {new, stale, orphaned} of frames
    graph     answers the versions of the graph
    history   answers the rows of the table of pushed graphs, the snapshots, and the last version of each project
    lock      `projects`: answers what a lock file with their features holds. The graph has these features afterwards
"""

import importlib
import json
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import metaxy as mx
import polars as pl
import tomlkit
from metaxy.config import MetaxyConfig
from metaxy.metadata_store.system import FEATURE_VERSIONS_KEY
from metaxy.metadata_store.system.storage import SystemTableStorage
from metaxy.models.feature_selection import FeatureSelection
from metaxy.models.filter_expression import parse_filter_string
from metaxy.utils import collect_to_polars
from metaxy.utils.lock_file import generate_lock_file

import stores
from values import cell_of, described, frame, type_of

VERSIONS = ("metaxy_provenance", "metaxy_provenance_by_field", "metaxy_data_version", "metaxy_data_version_by_field")


class Session:
    """A store that is open, and the graph that steps work on."""

    def __init__(self, request, store):
        self.request = request
        self.store = store
        self.system = SystemTableStorage(store)
        self.graph = mx.FeatureGraph()

    def run(self, step):
        with self.graph.use():
            return getattr(self, step["op"])(step)

    def define(self, step):
        self.graph = self.defined(step["graph"])

    def load(self, step):
        project = step.get("project", self.request["project"])
        version = self.snapshots(project)[step["snapshot"]]
        self.graph = self.system.load_graph_from_snapshot(version, project)
        return version

    def push(self, step):
        pushed = self.system.push_graph_snapshot(project=step["project"], tags=step.get("tags"))
        return {"project_version": pushed.project_version, "already_pushed": pushed.already_pushed}

    def write(self, step):
        self.store.write(step["feature"], frame(step["rows"]), materialization_id=step.get("materialization_id"))

    def apply(self, step):
        increment = self.store.resolve_update(step["feature"])
        new, stale = collect_to_polars(increment.new), collect_to_polars(increment.stale)
        rows = pl.concat([new, stale.select(new.columns)], how="vertical_relaxed")
        ids = list(self.graph.get_feature_definition(step["feature"]).spec.id_columns)
        if expand := step.get("expand"):
            numbers = pl.DataFrame({expand["column"]: list(range(expand["count"]))}, schema={expand["column"]: pl.Int64})
            rows = rows.join(numbers, how="cross")
        if step.get("unique"):
            rows = rows.unique(subset=ids, keep="any")
        for name, column in step.get("with", {}).items():
            dtype = type_of(column["type"])
            value = cell_of(dtype, column["value"])
            rows = rows.with_columns(pl.Series(name, [value] * rows.height, dtype=dtype))
        self.store.write(step["feature"], rows)

    def delete(self, step):
        self.store.delete(
            step["feature"],
            filters(step.get("filters")),
            soft=not step.get("hard", False),
            with_feature_history=step.get("with_feature_history", False),
        )

    def read(self, step):
        options = {
            name: step[name]
            for name in ("columns", "with_feature_history", "with_sample_history", "include_soft_deleted")
            if name in step
        }
        if "of_graph" in step:
            version = self.defined(step["of_graph"]).get_feature_version(step["feature"])
            options |= {"feature_version": version, "with_feature_history": True}
        rows = self.store.read(step["feature"], filters=filters(step.get("filters")), **options)
        return stored(collect_to_polars(rows))

    def resolve(self, step):
        options = {name: filters(step.get(name)) for name in ("global_filters", "target_filters", "staleness_predicates")}
        increment = self.store.resolve_update(
            step["feature"],
            samples=frame(step["samples"]) if "samples" in step else None,
            filters={key: filters(texts) for key, texts in step.get("filters", {}).items()},
            skip_comparison=step.get("skip_comparison", False),
            **options,
        )
        return {
            "new": expected(collect_to_polars(increment.new)),
            "stale": expected(collect_to_polars(increment.stale)),
            "orphaned": stored(collect_to_polars(increment.orphaned)),
        }

    def graph_versions(self):
        features = {}
        for key, definition in self.graph.feature_definitions_by_key.items():
            features[key.to_string()] = {
                "project": definition.project,
                "feature_version": self.graph.get_feature_version(key),
                "definition_version": definition.feature_definition_version,
                "version_by_field": self.graph.get_feature_version_by_field(key),
            }
        projects = sorted({feature["project"] for feature in features.values()})
        return {"features": features, "projects": {name: self.graph.get_project_version(name) for name in projects}}

    def history(self, step):
        rows = collect_to_polars(self.store.read(FEATURE_VERSIONS_KEY, with_feature_history=True))
        # The program's own tag says its version.
        texts = ("feature_spec", "feature_schema", "tags")
        pushed = []
        for row in described(rows)["rows"]:
            row |= {name: json.loads(row[name] or "null") for name in texts}
            (row["tags"] or {}).pop("metaxy", None)
            row |= {name: micros(row[name]) for name in ("recorded_at", "deleted_at")}
            pushed.append({name: value for name, value in row.items() if not name.startswith("__")})
        pushed.sort(key=lambda row: (row["recorded_at"], row["feature_key"]))
        projects = sorted({row["project"] for row in pushed})
        return {
            "features": pushed,
            "snapshots": {project: self.snapshots(project) for project in projects},
            "latest": {project: self.system._read_latest_project_version(project) for project in projects},
        }

    def lock(self, step):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "metaxy.lock"
            generate_lock_file(self.store, file, selection=FeatureSelection(projects=step["projects"]))
            return tomlkit.parse(file.read_text()).unwrap()

    def snapshots(self, project):
        """The project's versions, oldest first."""
        return self.system.read_graph_snapshots(project)["metaxy_project_version"].to_list()[::-1]

    def defined(self, name):
        graph = mx.FeatureGraph()
        for project, specs in self.request["graphs"][name].items():
            for spec in specs:
                schema = {"title": spec["key"], "type": "object"}
                spec = mx.FeatureSpec(**spec).model_dump(mode="json")
                path = f"{project}.{spec['key'].replace('/', '.')}"
                definition = mx.FeatureDefinition.from_stored_data(spec, schema, path, project)
                graph.add_feature_definition(definition)
        return graph


def filters(texts):
    return [parse_filter_string(text) for text in texts or ()]


def expected(df):
    """Rows of new or stale, with the columns that both programs promise."""
    return described(df.select(c for c in df.columns if c in VERSIONS or not c.startswith(("metaxy_", "__"))))


def stored(df):
    return described(df.select(c for c in df.columns if not c.startswith("__")))


def micros(moment):
    """Microseconds since 1970 UTC, whether the store keeps a zone or not."""
    return moment and next(iter(moment.values()))


def answer(folder):
    request = json.loads((folder / "request.json").read_text())
    stores.prepare(request["kind"])
    config = MetaxyConfig.load(request["config"])
    answers = []
    with stores.opened(config.get_store(), request["access"]) as store:
        session = Session(request, store)
        for number, step in enumerate(request["steps"]):
            try:
                # `graph` is also what the session holds.
                answers.append(session.graph_versions() if step["op"] == "graph" else session.run(step))
            except Exception as error:
                what = " ".join(str(step[name]) for name in ("op", "feature") if name in step)
                error.add_note(f"in step {number} ({what})")
                raise
    (folder / "answers.json").write_text(json.dumps(answers))


def run_apart(folder):
    """Answers in a child of this process; returns how that ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(folder / "log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 1
    try:
        answer(folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # What the parent would do at its end is not for the child.
        os._exit(code)


def main():
    for module in stores.MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        print(run_apart(Path(line.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main()
