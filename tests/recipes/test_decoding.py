import pytest
import torch

from training_jobs.recipes import language_model
from training_jobs.recipes.language_model import Sampling

CPU = torch.device("cpu")
SHARED = list(range(60, 80))


@pytest.fixture(scope="module")
def model(tiny_model):
    return language_model.load_model(tiny_model, dtype=torch.float32, device=CPU)


def one_by_one(model, prompt, *, count, stops):
    """Greedy decoding by the shortest road: no cache, no padding, one row."""
    ids = list(prompt)
    for _ in range(count):
        with torch.no_grad():
            token = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token in stops:
            break
        ids.append(token)
    return ids[len(prompt) :]


@pytest.mark.parametrize("shared", [[], SHARED])
def test_decode_equals_one_prompt_at_a_time(model, shared):
    prompts = [[*shared, 40], [*shared, 41, 42, 43], [*shared, 44, 45], [*shared, 46, 47, 48, 49]]
    # A stop token that the second answer meets in its middle, so that rows leave the batch.
    stops = {one_by_one(model, prompts[1], count=6, stops=set())[3]}

    decoded = language_model.decode(model, prompts, max_new_tokens=6, stops=stops)

    expected = [one_by_one(model, prompt, count=6, stops=stops) for prompt in prompts]
    assert [one.ids for one in decoded] == expected
    assert [one.finished for one in decoded] == [len(ids) < 6 for ids in expected]
    assert decoded[1].finished


def test_decode_samples_the_same_alone_and_in_a_batch(model):
    prompts = [[*SHARED, 40], [*SHARED, 41, 42, 43], [*SHARED, 44, 45]]
    numbers = [language_model.seeded_uniforms(1, n, count=8) for n in range(3)]
    options = {"max_new_tokens": 8, "stops": {2}, "sampling": Sampling(0.9, 0.95, 50)}

    together = language_model.decode(model, prompts, uniforms=numbers, **options)
    alone = [
        language_model.decode(model, [prompt], uniforms=[row], **options)[0]
        for prompt, row in zip(prompts, numbers, strict=True)
    ]

    assert together == alone
    assert len({tuple(one.ids) for one in together}) == 3


def test_draw_inverts_the_truncated_distribution():
    # Probabilities 0.5, 0.3 and 0.2; top_p 0.6 keeps two, renormalised to 0.625 and 0.375.
    logits = torch.tensor([[0.5, 0.2, 0.3]]).log().repeat(4, 1)

    drawn = language_model._draw(logits, Sampling(1.0, 0.6, 50), [0.0, 0.62, 0.63, 0.9999])

    assert drawn.tolist() == [0, 0, 2, 2]


def test_draw_keeps_to_the_top_k():
    logits = torch.tensor([[0.5, 0.2, 0.3]]).log()

    assert language_model._draw(logits, Sampling(1.0, 1.0, 1), [0.9999]).tolist() == [0]


def test_seeded_uniforms_depend_on_every_part():
    first = language_model.seeded_uniforms(1, "p", "plain", 0, count=3)

    assert first == language_model.seeded_uniforms(1, "p", "plain", 0, count=5)[:3]
    assert first != language_model.seeded_uniforms(1, "p", "plain", 1, count=3)
    assert all(0 <= number < 1 for number in first)


def test_truncated_keeps_the_prompt_and_cuts_answers():
    pair = language_model.Pair([1, 2, 3], [4, 5, 6], [7])

    assert language_model.truncated(pair, max_length=5) == ([1, 2, 3], [4, 5], [7])
    assert language_model.truncated(pair, max_length=3) is None


def test_completion_ids_end_with_the_end_of_turn(tiny_model):
    tokenizer = language_model.load_tokenizer(tiny_model)
    prompt = [{"role": "user", "content": "How do I bake bread?"}]

    ids = language_model.completion_ids(
        tokenizer, prompt, [{"role": "assistant", "content": "With flour."}]
    )

    assert tokenizer.decode(ids) == "With flour.<|im_end|>"
    assert ids[-1] == tokenizer.eos_token_id


def test_load_tokenizer_refuses_one_without_a_chat_template(tiny_model, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_model / name).read_bytes())

    with pytest.raises(language_model.RecipeError, match="no chat template"):
        language_model.load_tokenizer(tmp_path)
