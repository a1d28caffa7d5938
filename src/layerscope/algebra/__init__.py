"""The few lines of tensor algebra that a transformer is made of, to read and to compute with; numpy only.

Without an axis of texts: [token, width], and [head, token, width] inside attention. What comes in as float32
goes out as float32, float64 as float64.

>>> import numpy as np
>>> import layerscope as ls
>>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 4, 8))                # each [head, token, width]
>>> attention = ls.algebra.scaled_dot_product_attention(q, k, v, ls.algebra.causal_mask(4, 4))
>>> attention.probabilities[0].round(2)                                         # rows are queries, and sum to 1
array([[1.  , 0.  , 0.  , 0.  ],
       [0.41, 0.59, 0.  , 0.  ],
       [0.23, 0.46, 0.31, 0.  ],
       [0.09, 0.36, 0.43, 0.13]])
"""

from layerscope.algebra.activations import ACTIVATIONS as ACTIVATIONS
from layerscope.algebra.activations import activation as activation
from layerscope.algebra.activations import plot_activations as plot_activations
from layerscope.algebra.attention import Attention as Attention
from layerscope.algebra.attention import attention_scores as attention_scores
from layerscope.algebra.attention import causal_mask as causal_mask
from layerscope.algebra.attention import masked as masked
from layerscope.algebra.attention import scaled_dot_product_attention as scaled_dot_product_attention
from layerscope.algebra.attention import softmax as softmax
from layerscope.algebra.heads import merge_heads as merge_heads
from layerscope.algebra.heads import multi_head_attention as multi_head_attention
from layerscope.algebra.heads import repeat_heads as repeat_heads
from layerscope.algebra.heads import split_heads as split_heads
from layerscope.algebra.linear import Linear as Linear
from layerscope.algebra.norms import layer_norm as layer_norm
from layerscope.algebra.norms import rms_norm as rms_norm
from layerscope.algebra.rotary import rotary_angles as rotary_angles
from layerscope.algebra.rotary import rotate as rotate
