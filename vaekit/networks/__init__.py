"""Encoders, decoders, discriminators and U-Nets; every one takes any H x W x C."""
