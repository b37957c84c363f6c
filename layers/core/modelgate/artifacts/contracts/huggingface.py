"""Hugging Face's inference containers, which make a pipeline of what ``save_pretrained`` wrote.

What they expect is in the source of sagemaker-huggingface-inference-toolkit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelgate.artifacts.contracts import saved, scripts
from modelgate.artifacts.contracts.judged import NOTHING, Judged

_HUB = "HF_MODEL_ID"
_TASK = "HF_TASK"
_DIFFUSERS = "model_index.json"
_ADAPTER = "adapter_config.json"
_WEIGHTS = (".safetensors", ".bin", ".h5", ".msgpack", ".neuron", ".ckpt.index")

# The container infers the task from how the first architecture's name ends; these are all that it knows.
_TASKS_BY_ENDING = {
    "TapasForQuestionAnswering": "table-question-answering",
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMultipleChoice": "multiple-choice",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
    "EncoderDecoderModel": "text2text-generation",
    "GPT2LMHeadModel": "text-generation",
    "T5WithLMHeadModel": "text2text-generation",
}
# Tasks whose pipeline cannot be made without a tokenizer.
_OF_TEXT = {
    *_TASKS_BY_ENDING.values(), "sentiment-analysis", "ner", "summarization",
    "zero-shot-classification", "conversational",
}  # fmt: skip


def reads(environment: Mapping[str, str]) -> Callable[[str], bool]:
    script, config = scripts.reads(environment), saved.reads()
    return lambda name: script(name) or config(name)


def without_artifact(environment: Mapping[str, str]) -> Mapping[str, str] | None:
    return NOTHING if environment.get(_HUB) else None


def judge(judged: Judged) -> Mapping[str, str]:
    hub = judged.environment.get(_HUB)
    if hub and hub.startswith("/"):
        found = f"is {hub!r}, and this container takes it for the name of a model on the hub"
        judged.environment_problem(_HUB, found, "leave it out: the container serves the artifact without it")
        return {}
    if not hub and judged.is_wrapped():
        return {}
    if scripts.loads_the_model(judged) is not False:
        return {}
    if hub:
        judged.words.append(f"{hub}, which the container downloads")
    else:
        _check_pipeline(judged)
    return {}


def _check_pipeline(judged: Judged) -> None:
    task = judged.environment.get(_TASK)
    if saved.has(judged, "", _DIFFUSERS) and task in (None, "text-to-image"):
        judged.words.append("a pipeline of Diffusers")
        return
    adapter = bool(task) and saved.has(judged, "", _ADAPTER)
    config = saved.config_of(judged, saved.CONFIG)
    if not saved.has(judged, "", saved.CONFIG) and not adapter:
        saved.missing_config(judged, "")
    if not task and config is not None:
        task = _inferred(judged, config)
    saved.check_weights(judged, "", _WEIGHTS)
    if saved.has_shards_without_index(judged):
        mend = "put model.safetensors.index.json beside them, as save_pretrained wrote it"
        judged.problem("", "holds shards of weights without their index", mend)
    if task in _OF_TEXT or str(task).startswith("translation"):
        saved.check_tokenizer(judged, "", config)
    judged.words.append(f"a model of Transformers for {task or 'a task that is not known'}")


def _inferred(judged: Judged, config: Mapping[str, Any]) -> str | None:
    """The task that the container would infer; where it could not, that is noted."""
    architectures = config.get("architectures")
    name = architectures[0] if isinstance(architectures, list) and architectures else None
    if not isinstance(name, str):
        found = "has no architectures, by which the container finds the task, and HF_TASK is not set"
        judged.problem(saved.CONFIG, found, _SET_TASK)
        return None
    task = next((task for ending, task in _TASKS_BY_ENDING.items() if name.endswith(ending)), None)
    if task is None:
        found = f"has the architecture {name}, for which the container knows no task"
        judged.problem(saved.CONFIG, found, _SET_TASK)
    return task


_SET_TASK = f"set container.environment.{_TASK}, such as text-classification"
