"""A causal few-step edit model of the Wan 2.1 family: network, rolling cache, and the loop over a stream.

Knows latents, conditionings and engines; knows nothing of pictures, codecs, prompts in words or servers. Only
those of its modules that compute import torch; `config` and `bindings` do not.
"""
