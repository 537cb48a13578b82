"""Autoencoders between pictures and Wan 2.1's latents, streaming: state carried, nothing decoded twice."""
