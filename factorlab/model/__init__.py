"""The network, the diffusion process and the sampler."""
