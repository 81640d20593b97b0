"""What a .pt2 may call: an allow-list of operators by name.

A target of a program's node is text that torch resolves by attribute access ("torch.hub.load",
"_operator.attrgetter" resolve as well as "torch.ops.aten.add.Tensor") and calls when the program
runs. So a name is allowed where it stands in a table here, and nothing else is. Left out are all
that read or write files, print, talk to other processes or set the state of the library
(from_file, save, set_num_threads, set_, resize_), that trust sizes or indices given to them
(_sparse_*_unsafe, _reshape_alias, segment_reduce), gradients, and what writes into a tensor given
as `out`.
"""

from __future__ import annotations

import importlib
import keyword
import re
from functools import cache
from typing import Any

from edgekit.core.texts import shown
from edgekit.export.program_refusal import NotAllowedError, needs_library

__all__ = ["checked_operator", "import_library"]

# Arithmetic of sizes: what torch writes for "past + 1" or a condition on sizes.
_SIZES = """
_operator.add _operator.and_ _operator.eq _operator.floordiv _operator.ge _operator.gt _operator.le
_operator.lshift _operator.lt _operator.mod _operator.mul _operator.ne _operator.neg _operator.or_
_operator.pos _operator.pow _operator.rshift _operator.sub _operator.truediv math.ceil math.floor
math.trunc torch._sym_sqrt torch.sym_float torch.sym_int torch.sym_ite torch.sym_max torch.sym_min
torch.sym_not torch.sym_sqrt torch.sym_sum
"""
# Control flow, whose graphs stand in the same file and are checked like the main one.
_HIGHER_ORDER = """
associative_scan cond invoke_subgraph map_impl scan while_loop wrap_with_autocast
wrap_with_set_grad_enabled
"""
# The primitives that the exporter to ONNX writes.
_PRIMS = """
abs acos acosh add asin asinh atan atanh broadcast_in_dim ceil convert_element_type cos cosh div eq
erf exp floor ge gt le log lt mul ne neg pow remainder reshape round sin sinh sqrt squeeze sub sum
tan tanh transpose var where
"""
# torch.onnx.ops, for models written with ONNX in mind.
_ONNX = "Attention RotaryEmbedding"
# Computing on tensors: what the exporters to ONNX write, torch's decompositions into it, and the
# core set. Each name stands for its form in place as well ("relu_").
_ATEN = """
__and__ __lshift__ __or__ __rshift__ __xor__ _adaptive_avg_pool2d _adaptive_avg_pool3d
_assert_async _assert_scalar _assert_tensor_metadata _batch_norm_no_update _batch_norm_with_update
_batch_norm_with_update_functional _cdist_forward _conj _conj_physical _convolution
_convolution_mode _embedding_bag _embedding_bag_forward_only _euclidean_dist
_fake_quantize_per_tensor_affine_cachemask_tensor_qparams _fft_c2c _fft_c2r _fft_r2c
_fused_rms_norm _grouped_mm _int_mm _linalg_det _linalg_eigh _linalg_slogdet _linalg_solve_ex
_linalg_svd _local_scalar_dense _log_softmax _native_batch_norm_legit
_native_batch_norm_legit_functional _native_batch_norm_legit_no_training
_native_multi_head_attention _neg_view _pad_circular _pdist_forward _prelu_kernel _safe_softmax
_scaled_dot_product_attention_math _scaled_dot_product_efficient_attention
_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu _softmax _to_copy
_transformer_encoder_layer_fwd _trilinear _unique _unique2 _unsafe_index _unsafe_index_put
_unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_lanczos2d_aa
_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_int8pack_mm
_weight_norm _weight_norm_interface abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv
addcmul addmm addmv addr adjoint affine_grid_generator alias alias_copy all allclose alpha_dropout
amax amin aminmax angle any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax
argmin argsort argwhere as_strided as_strided_copy as_strided_scatter asin asinh atan atan2 atanh
atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm bartlett_window
batch_norm bernoulli bilinear binary_cross_entropy binary_cross_entropy_with_logits bincount
bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor
blackman_window block_diag bmm broadcast_tensors broadcast_to bucketize cartesian_prod cat cauchy
cdist ceil celu chain_matmul chalf channel_shuffle cholesky cholesky_inverse cholesky_solve chunk
clamp clamp_max clamp_min clip clone col2im column_stack combinations complex concat concatenate
conj conj_physical constant_pad_nd contiguous conv1d conv2d conv3d conv_depthwise3d conv_tbc
conv_transpose1d conv_transpose2d conv_transpose3d convolution copy copysign corrcoef cos cosh
cosine_embedding_loss cosine_similarity count_nonzero cov cross cross_entropy_loss cummax cummin
cumprod cumsum cumulative_trapezoid deg2rad det detach diag diag_embed diagflat diagonal
diagonal_copy diagonal_scatter diff digamma dim dist div divide dot dropout dsplit dstack einsum
elu embedding embedding_bag embedding_renorm empty empty_like empty_permuted empty_strided eq equal
erf erfc erfinv exp exp2 expand expand_as expand_copy expm1 exponential eye
fake_quantize_per_channel_affine fake_quantize_per_channel_affine_cachemask
fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine_cachemask feature_alpha_dropout
feature_dropout fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_hfft2 fft_hfftn
fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_ihfft2 fft_ihfftn fft_irfft fft_irfft2
fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn fill fill_diagonal fix flatten flip fliplr
flipud float_power floor floor_divide fmax fmin fmod frac fractional_max_pool2d
fractional_max_pool3d frexp frobenius_norm full full_like gather gcd ge gelu geometric ger glu
gradient greater greater_equal grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gru_cell
gt hamming_window hann_window hardshrink hardsigmoid hardswish hardtanh heaviside
hinge_embedding_loss histc hsplit hstack huber_loss hypot i0 igamma igammac im2col imag index
index_add index_copy index_fill index_put index_reduce index_select inner instance_norm inverse
is_complex is_floating_point is_nonzero is_same_size is_signed isclose isfinite isin isinf isnan
isneginf isposinf isreal istft item kaiser_window kl_div kron kthvalue l1_loss layer_norm lcm ldexp
le leaky_relu lerp less less_equal lgamma lift lift_fresh lift_fresh_copy linalg_cholesky
linalg_cholesky_ex linalg_cond linalg_cross linalg_det linalg_diagonal linalg_eig linalg_eigh
linalg_eigvals linalg_eigvalsh linalg_inv linalg_inv_ex linalg_ldl_factor linalg_lstsq linalg_lu
linalg_lu_factor linalg_matmul linalg_matrix_exp linalg_matrix_norm linalg_matrix_power
linalg_matrix_rank linalg_multi_dot linalg_norm linalg_pinv linalg_qr linalg_slogdet linalg_solve
linalg_solve_ex linalg_solve_triangular linalg_svd linalg_svdvals linalg_tensorinv
linalg_tensorsolve linalg_vander linalg_vecdot linalg_vector_norm linear linspace log log10 log1p
log2 log_normal log_sigmoid log_sigmoid_forward log_softmax logaddexp logaddexp2 logcumsumexp
logdet logical_and logical_not logical_or logical_xor logit logspace logsumexp lstm lstm_cell lt
lu_solve lu_unpack mH mT margin_ranking_loss masked_fill masked_scatter masked_select matmul
matrix_H matrix_exp matrix_power max max_pool1d max_pool1d_with_indices max_pool2d
max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d maximum mean
median meshgrid min minimum mish mm mode moveaxis movedim mse_loss msort mul multi_margin_loss
multilabel_margin_loss multilabel_margin_loss_forward multinomial multiply mv mvlgamma nan_to_num
nanmean nanmedian nanquantile nansum narrow narrow_copy native_batch_norm native_channel_shuffle
native_dropout native_group_norm native_layer_norm ne neg negative new_empty new_empty_strided
new_full new_ones new_zeros nextafter nll_loss nll_loss2d nll_loss2d_forward nll_loss_forward
nll_loss_nd nonzero nonzero_numpy nonzero_static norm norm_except_dim normal normal_functional
not_equal nuclear_norm numel numpy_T one_hot ones ones_like orgqr outer pad pad_sequence
pairwise_distance pdist permute permute_copy pinverse pixel_shuffle pixel_unshuffle poisson
poisson_nll_loss polar polygamma positive pow prelu prod put qr quantile rad2deg rand rand_like
randint randint_like randn randn_like randperm range ravel real reciprocal reflection_pad1d
reflection_pad2d reflection_pad3d relu relu6 remainder renorm repeat repeat_interleave
replication_pad1d replication_pad2d replication_pad3d reshape reshape_as resolve_conj resolve_neg
rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90 round row_stack rrelu rsqrt rsub
scalar_tensor scaled_dot_product_attention scatter scatter_add scatter_reduce searchsorted select
select_copy select_scatter selu sgn sigmoid sign signbit silu sin sinc sinh size slice slice_copy
slice_scatter slogdet slow_conv3d slow_conv_dilated2d slow_conv_transpose2d smooth_l1_loss
soft_margin_loss softmax softplus softshrink sort special_airy_ai special_bessel_j0
special_bessel_j1 special_digamma special_entr special_erf special_erfc special_erfcx
special_erfinv special_exp2 special_expit special_expm1 special_gammainc special_gammaincc
special_gammaln special_i0 special_i0e special_i1 special_i1e special_log1p special_log_ndtr
special_log_softmax special_logit special_logsumexp special_multigammaln special_ndtr special_ndtri
special_polygamma special_psi special_round special_sinc special_softmax
special_spherical_bessel_j0 special_xlog1py special_xlogy special_zeta split split_copy
split_with_sizes split_with_sizes_copy sqrt square squeeze squeeze_copy stack std std_mean stft
storage_offset stride sub subtract sum sum_to_size svd swapaxes swapdims sym_constrain_range
sym_constrain_range_for_size sym_is_contiguous sym_numel sym_size sym_storage_offset sym_stride t
t_copy take take_along_dim tan tanh tensor_split tensordot thnn_conv2d threshold tile to topk trace
transpose transpose_copy trapezoid trapz triangular_solve tril tril_indices triplet_margin_loss
triu triu_indices true_divide trunc type_as unbind unbind_copy unflatten unfold unfold_copy uniform
unique_consecutive unique_dim unique_dim_consecutive unsafe_chunk unsafe_split
unsafe_split_with_sizes unsqueeze unsqueeze_copy upsample_bicubic2d upsample_bilinear2d
upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d
vander var var_mean vdot view view_as view_as_complex view_as_complex_copy view_as_real
view_as_real_copy view_copy vsplit vstack where xlogy zero zeros zeros_like
"""
_UNQUALIFIED = frozenset(
    [*_SIZES.split(), *(f"torch.ops.higher_order.{name}" for name in _HIGHER_ORDER.split())]
)
_ALLOWED = {
    space: frozenset(names.split())
    for space, names in (("aten", _ATEN), ("prims", _PRIMS), ("onnx", _ONNX))
}
# The grammar of a target that is an operator with its overload.
_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


def checked_operator(target: str, *, trust_code: bool = False) -> str:
    """Return a target that may be called.

    Args:
        target: As it stands in the file.
        trust_code: Allow operators of the library that the target names, which is imported.

    Raises:
        NotAllowedError: It is none of these.
    """
    if target in _UNQUALIFIED:
        return target
    match = _OPERATOR.fullmatch(target)
    if match is None:
        raise _not_allowed(target)
    space, name, overload = match.groups()
    if space not in _ALLOWED:
        _refuse_own(space, target)
        if not trust_code:
            raise needs_library(space, f"the operator {space}.{name}")
        import_library(space)
    elif name not in _ALLOWED[space] and name.removesuffix("_") not in _ALLOWED[space]:
        raise _not_allowed(target)
    if not _computes(space, name, overload):
        raise _not_allowed(target)
    return target


@cache
def _computes(space: str, name: str, overload: str) -> bool:
    """Whether an operator exists here and returns its result, not writes it where it is told."""
    import torch

    if space == "onnx":
        import torch.onnx.ops  # registers them
    found: Any = getattr(getattr(getattr(torch.ops, space), name, None), overload, None)
    return isinstance(found, torch._ops.OpOverload) and not any(
        argument.is_out for argument in found._schema.arguments
    )


def _refuse_own(space: str, target: str) -> None:
    """Raise where operators are torch's own, but none that a model needs."""
    if space in _spaces_of_torch():
        raise _not_allowed(target)


@cache
def _spaces_of_torch() -> frozenset[str]:
    """Namespaces of operators before the first library was imported for a program."""
    import torch

    known = {name.partition("::")[0] for name in torch._C._dispatch_get_all_op_names()}
    # Registered on demand, by modules of torch's that nothing has imported yet.
    return frozenset(known | {"inductor", "quantized_decomposed", "higher_order", "debugprims"})


def import_library(name: str) -> None:
    """Import a module that a program names and its user trusts.

    Raises:
        NotAllowedError: It is no name of a module, or it cannot be imported.
    """
    if not _DOTTED.fullmatch(name) or any(map(keyword.iskeyword, name.split("."))):
        raise NotAllowedError(f"names the library {shown(name)}, which is no name of a module")
    try:
        importlib.import_module(name)
    except Exception as error:
        library = name.partition(".")[0]
        raise NotAllowedError(
            f"needs the library {library!r}, which cannot be imported here "
            f"({type(error).__name__})",
            hint=f"Install it, in the version that the program was exported with: pip install "
            f"{library}.",
        ) from error


def _not_allowed(target: str) -> NotAllowedError:
    return NotAllowedError(
        f"calls {shown(target)}, which is not among the operators that a file may call"
    )
