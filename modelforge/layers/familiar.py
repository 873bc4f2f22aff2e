"""What other libraries call layers and their arguments, for hints: `Dense` is `Linear`, its `units` are `out_features`.

Keras's names, torch.nn.functional's, and those of torchvision where they differ from torch.nn's.
"""

from __future__ import annotations

from modelforge.language import registry

registry.ELSEWHERE.update(
    {
        "Activation": "name the function itself: `ReLU`, `Tanh`, `GELU`, ...",
        "AveragePooling1D": "`AvgPool1d`",
        "AveragePooling2D": "`AvgPool2d`",
        "AveragePooling3D": "`AvgPool3d`",
        "BatchNormalization": "`BatchNorm1d`, or `BatchNorm2d` for pictures",
        "Concatenate": "`Concat`",
        "Conv1D": "`Conv1d`",
        "Conv1DTranspose": "`ConvTranspose1d`",
        "Conv2D": "`Conv2d`",
        "Conv2DTranspose": "`ConvTranspose2d`",
        "Conv3D": "`Conv3d`",
        "Conv3DTranspose": "`ConvTranspose3d`",
        "Dense": "`Linear`",
        "DepthwiseConv2D": "`Conv2d` with `groups` equal to its channels",
        "FrozenBatchNorm2d": "`BatchNorm2d`",
        "GlobalAveragePooling1D": "`Mean` over the positions: `{type: Mean, dim: 1}`",
        "GlobalAveragePooling2D": "`{type: AdaptiveAvgPool2d, output_size: 1}`, and `Flatten`",
        "GlobalMaxPooling2D": "`{type: AdaptiveMaxPool2d, output_size: 1}`, and `Flatten`",
        "GroupNormalization": "`GroupNorm`",
        "InputLayer": "what comes in is said by the model's `input`",
        "Interpolate": "`Upsample`",
        "LayerNorm2d": "`LayerNorm` over channels that come last",
        "LayerNormalization": "`LayerNorm`",
        "Masking": "`PaddingMask` over the tokens, named in `inputs` of what may not read padding",
        "MaxPooling1D": "`MaxPool1d`",
        "MaxPooling2D": "`MaxPool2d`",
        "MaxPooling3D": "`MaxPool3d`",
        "MultiHeadAttention": "`MultiheadAttention`, or `SelfAttention`",
        "SimpleRNN": "`RNN`",
        "SpatialDropout1D": "`Dropout1d`",
        "SpatialDropout2D": "`Dropout2d`",
        "Swish": "`SiLU`",
        "TokenEmbedding": "`Embedding`",
        "UpSampling2D": "`Upsample`",
        "interpolate": "`Upsample`",
        "swish": "`SiLU`",
    }
)

registry.ARGUMENTS_ELSEWHERE.update(
    {
        "activation": "the function is a layer of its own, after this one: `act: ReLU`",
        "alpha": "negative_slope",
        "axis": "dim",
        "bias_initializer": "init",
        "data_format": "the channels come first, as in torch",
        "depth": "num_layers",
        "depth_multiplier": "groups",
        "dilation_rate": "dilation",
        "dims": "dim",
        "dropout_rate": "p",
        "embeddings_initializer": "init",
        "epsilon": "eps",
        "filters": "out_channels",
        "go_backwards": "`bidirectional: true` reads both ways",
        "initializer": "init",
        "input_dim": "num_embeddings",
        "input_length": "the data says how long a sequence is",
        "input_shape": "the model's `input` says what comes in",
        "kernel_initializer": "init",
        "key_dim": "embed_dim",
        "num_units": "hidden_size",
        "output_dim": "embedding_dim",
        "pool_size": "kernel_size",
        "rate": "p",
        "recurrent_initializer": "init",
        "return_sequences": "`{type: Select, dim: 1, index: -1}` after it takes the last step",
        "return_state": "`rnn.1` in `inputs` names the second output of `rnn`",
        "size": "scale_factor",
        "strides": "stride",
        "target_shape": "shape",
        "units": "out_features hidden_size",
        "use_bias": "bias",
        "weight_init": "init",
    }
)
