"""The process of a step on this machine: `python -m pipelines.kfp_step SOURCE OPTION…`.

It does what the shell script does that kfp wraps a component in, on systems without a shell, too.
"""

import sys

from kfp.dsl.executor_main import executor_main

from detector.storage.scratch import scratch_folder


def main() -> None:
    """Run the component of this source with these options of kfp's executor."""
    source = sys.argv.pop(1)
    with scratch_folder("step") as folder:
        path = folder / "ephemeral_component.py"
        path.write_text(source, encoding="utf-8")
        sys.argv[1:1] = ["--component_module_path", str(path)]
        executor_main()


if __name__ == "__main__":
    main()
