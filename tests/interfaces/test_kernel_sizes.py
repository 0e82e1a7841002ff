from interfaces import kernel_sizes
from studio.sizing import step_memory


def test_memory_estimate_and_kernels_share_sizes() -> None:
    from trainer.kernels import chunked_loss, flat_attention

    for name in ("CHUNK_ELEMENTS", "BLOCK_ELEMENTS"):
        assert getattr(chunked_loss, name) is getattr(step_memory, name) is getattr(kernel_sizes, name)
    for name in ("LONGEST_PRODUCT", "LONGEST_KEPT"):
        assert getattr(flat_attention, name) is getattr(step_memory, name) is getattr(kernel_sizes, name)
