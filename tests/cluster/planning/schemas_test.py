"""The JSON Schemas of cluster and plan files take the same keys as potluck, and every example."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

POTLUCK = os.environ["POTLUCK"]
SOURCE = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = SOURCE / "cluster/examples"
KEY = "00e1" + 60 * "7"
MODEL = "synthetic:nano?layers=6"
SCHEMAS = {kind: json.loads((SOURCE / f"cluster/{kind}.schema.json").read_text())
           for kind in ("cluster", "plan")}


class Loader(yaml.SafeLoader):
    """Scalars as YAML 1.2 reads them, and so editors: 0:10 is no number of base 60."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (("bool", r"^(true|false)$", "tf"), ("int", r"^-?[0-9]+$", "-0123456789"),
                            ("float", r"^-?[0-9]+\.[0-9]+$", "-0123456789")):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def load(text):
    return yaml.load(text, Loader)


def complaints(kind, value):
    validator = jsonschema.Draft202012Validator(SCHEMAS[kind])
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(value)]


def kind_of(text):
    return "plan" if re.search(r"^stages:", text, re.M) else "cluster"


def refusal(kind, text):
    """What potluck says of a file that it does not take; empty if it takes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "file.yaml"
        path.write_text(text)
        words = ["plan", "--cluster"] if kind == "cluster" else ["inspect", "--plan"]
        done = subprocess.run([POTLUCK, words[0], "-m", MODEL, words[1], str(path)], text=True,
                              capture_output=True, timeout=60, check=False)
        return "" if done.returncode != 2 else done.stderr.replace(str(path), "file.yaml")


# A file for each map of each schema, with an unknown key in it, where it stands in the schema.
CLUSTER = "version: 1\n{top}hosts:\n  - name: a\n    here: true\n{host}"
DEVICE = "    devices:\n      - device: cpu\n        {}\n"
MEASURED = "measured:\n  {}\n"
PLAN = "version: 1\nhead: {{start: here{head}}}\nstages: [{{start: here, layers: '0:6'{stage}}}]\n"
MAPS = {
    ("cluster", "properties"): CLUSTER.format(top="zzzzzz: 1\n", host=""),
    ("cluster", "$defs/options/properties"): CLUSTER.format(top="options: {zzzzzz: 1}\n", host=""),
    ("cluster", "$defs/network/properties"): CLUSTER.format(top="network: {zzzzzz: 1}\n", host=""),
    ("cluster", "$defs/host/properties"): CLUSTER.format(top="", host="    zzzzzz: 1\n"),
    ("cluster", "$defs/device/properties"): CLUSTER.format(top="", host=DEVICE.format("zzzzzz: 1")),
    ("cluster", "$defs/speed/properties"):
        CLUSTER.format(top="", host=DEVICE.format("speed: {zzzzzz: 1}")),
    ("cluster", "$defs/device/properties/yield/properties"):
        CLUSTER.format(top="", host=DEVICE.format("yield: {zzzzzz: 1}")),
    ("cluster", "$defs/link/properties"):
        CLUSTER.format(top="links: [{from: a, to: b, zzzzzz: 1}]\n", host=""),
    ("cluster", "$defs/measured/properties"):
        CLUSTER.format(top="", host="") + MEASURED.format("zzzzzz: 1"),
    ("cluster", "$defs/measured/properties/devices/items/properties"):
        CLUSTER.format(top="", host="") + MEASURED.format("devices: [{zzzzzz: 1}]"),
    ("cluster", "$defs/measured/properties/links/items/properties"):
        CLUSTER.format(top="", host="") + MEASURED.format("links: [{zzzzzz: 1}]"),
    ("plan", "properties"): "zzzzzz: 1\n" + PLAN.format(head="", stage=""),
    ("plan", "$defs/head/properties"): PLAN.format(head=", zzzzzz: 1", stage=""),
    ("plan", "$defs/stage/properties"): PLAN.format(head="", stage=", zzzzzz: 1"),
}


def at(schema, path):
    for step in path.split("/"):
        schema = schema[step]
    return schema


def property_maps(schema, path=""):
    """Paths of all maps of properties, as MAPS names them."""
    for key, value in schema.items():
        here = f"{path}/{key}".lstrip("/")
        if key == "properties" and isinstance(value, dict):
            yield here
        if isinstance(value, dict):
            yield from property_maps(value, here)


class Schemas(unittest.TestCase):
    def test_they_are_schemas(self):
        for schema in SCHEMAS.values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_they_have_the_keys_that_potluck_takes(self):
        for kind, schema in SCHEMAS.items():
            self.assertEqual(set(property_maps(schema)), {path for k, path in MAPS if k == kind})
        for (kind, path), text in MAPS.items():
            with self.subTest(kind=kind, path=path):
                said = refusal(kind, text)
                self.assertIn('unknown key "zzzzzz"; there are ', said)
                taken = said.strip().split("there are ")[1].split(", ")
                self.assertEqual(sorted(taken), sorted(at(SCHEMAS[kind], path)))
                self.assertTrue(complaints(kind, load(text)))

    def test_examples_are_taken_by_both(self):
        examples = sorted(EXAMPLES.glob("*.yaml"))
        self.assertGreaterEqual(len(examples), 4)
        for example in examples:
            with self.subTest(example=example.name):
                text = example.read_text()
                self.assertEqual(complaints(kind_of(text), load(text)), [])
        plan = (EXAMPLES / "two-boxes-plan.yaml").read_text().replace("12:30", "12:18")
        self.assertNotIn("unknown key", refusal("plan", plan))

    def test_yaml_of_the_pages_is_taken(self):
        found = []
        for page in ("README.md", "cluster/README.md"):
            found += re.findall(r"```yaml\n(.*?)```", (SOURCE / page).read_text(), re.S)
        self.assertTrue(found)
        for text in found:
            with self.subTest(text=text):
                value = load(re.sub(r"KEY-OF-[0-9.]+", KEY, text))
                self.assertEqual(complaints(kind_of(text), value), [])

    def test_what_potluck_refuses_they_refuse(self):
        device, speed = DEVICE.format, "speed: {{sliding_layer: {}, full_layer: 2ms}}".format
        for host in (device("memory: 8 gigs"), device(speed("3")), device("threads: 4096"),
                     device("role: worker"), device("yield: {hours: 22-8}"), device("power: 250"),
                     device("device2: cpu"), "    key: 1234\n", "    ports: 7000..7010\n",
                     "    trusted: maybe\n", "    devices: []\n", "    devices: [gpu0]\n", "    devices: ['cuda:00']\n",
                     "    devices: ['cuda:+1']\n", "    devices: ['hip:-0']\n", device("threads: .nan"),
                     device("power: .inf"), device("memory: 1e9"), device(speed(".nan")), device(speed("-2ms"))):
            with self.subTest(host=host):
                text = CLUSTER.format(top="", host=host)
                self.assertNotEqual(refusal("cluster", text), "")
                self.assertNotEqual(complaints("cluster", load(text)), [])


if __name__ == "__main__":
    unittest.main()
